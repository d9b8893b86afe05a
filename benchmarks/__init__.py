"""The side-by-side measurement of the sidecar: reproducible, interleaved, told as ratios.

It judges nothing by how fast it was: a round counts or does not count by rules that do not look at its speed.
"""
