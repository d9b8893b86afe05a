"""The sidecar: proves the Access identity of every request, decides, and vouches for it upstream."""
