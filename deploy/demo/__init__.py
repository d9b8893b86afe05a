"""A stand-in for Cloudflare Access on this machine alone: it plays the edge in development and in tests."""
