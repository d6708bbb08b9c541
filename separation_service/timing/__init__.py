"""Progress of a separation, its expected duration and its latency budget."""
