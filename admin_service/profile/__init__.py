"""The operator's own: who they are here, and how they like the panel."""
