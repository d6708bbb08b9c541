"""Key, tempo map, harmony, and what a prompt's words say of them."""
