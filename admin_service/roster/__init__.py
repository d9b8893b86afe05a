"""The roster feed: who is an operator with which role, pushed to every sidecar as it changes."""
