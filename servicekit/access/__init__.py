"""Who calls, and what that caller may do: callers, identifiers, scopes and the gatekeeper of every call."""
