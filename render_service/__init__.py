"""Text to music: brief -> plan -> denoise -> vocode -> bounce -> handoff."""
