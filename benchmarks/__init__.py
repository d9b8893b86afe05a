"""The side-by-side measurement of the sidecar: reproducible, interleaved, told as ratios."""
