"""Operators' sessions: the exchange of a proven Access identity for the cookie `ax_token` (R-162…R-166)."""
