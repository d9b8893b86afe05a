"""The signed internal identity: who asks, in which role, for which service."""
