"""What the images are built from; `healthcheck.py` is copied into them as a file."""
