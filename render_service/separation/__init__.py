"""The client of separation_service: lend a bounce, follow the work, read the result."""
