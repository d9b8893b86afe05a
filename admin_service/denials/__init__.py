"""Denials as audit events: what the sidecars refused, reported in batches."""
