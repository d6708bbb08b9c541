"""Uploaded recordings: checked, stored, accepted as jobs, separated."""
