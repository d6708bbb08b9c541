"""What is handed over: the manifest and the ZIP (CONTRACT 4)."""
