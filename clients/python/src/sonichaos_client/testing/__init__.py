"""Tools to test a program against the services, and a server against the contract. Requires the extra ``testing``."""
