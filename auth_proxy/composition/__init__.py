"""Puts the sidecar together out of its settings, one part at a time; `auth_proxy.app` is the root."""
