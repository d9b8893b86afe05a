"""The pages: each module fetches, fills its view and sends it; nothing is decided in a template."""
