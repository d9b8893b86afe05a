"""The queues and workflows of a service, as operators see them and what they may do to them (G-14)."""
