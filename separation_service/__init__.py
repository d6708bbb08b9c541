"""Music to stems to ZIP."""
