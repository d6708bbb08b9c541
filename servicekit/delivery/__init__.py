"""What is handed over: the manifest and the ZIP (docs/contract.md, section 4)."""
