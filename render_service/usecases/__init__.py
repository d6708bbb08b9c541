"""What callers can ask of render_service: one file each."""
