"""Feature flags: what an operator switched on or off for one tenant (G-03)."""
