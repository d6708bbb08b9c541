"""What any GPU service on this host needs. No torch models, no musical idea, no stubs."""
