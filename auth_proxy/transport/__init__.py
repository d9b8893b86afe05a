"""The data path: bytes of a granted request to its upstream, bytes of the answer back."""
