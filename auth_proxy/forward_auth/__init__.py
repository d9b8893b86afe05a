"""Answers for nginx, Traefik, Caddy and Envoy, where one of them moves the bytes itself."""
