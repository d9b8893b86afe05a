"""Cloudflare Access: what its tokens say, which keys prove them, and whether one is a person's."""
