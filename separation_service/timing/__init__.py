"""Progress of separations, their expected duration and their latency budget."""
