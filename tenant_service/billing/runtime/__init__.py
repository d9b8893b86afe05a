"""The door of the product's runtime: it uses credit, with a key of its own (ADR 0024)."""
