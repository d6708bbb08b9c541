"""Signed POST requests to URLs that callers choose: which may be called, how they are signed, how they are sent."""
