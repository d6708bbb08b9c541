"""Shared by all gRPC servers: assembly, health, reflection, the error table, interceptors."""
