"""The stem modes: stems that sum exactly to the bounce, and the model's residual."""
