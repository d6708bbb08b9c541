"""Operator commands of the full install: start both services, fetch weights."""
