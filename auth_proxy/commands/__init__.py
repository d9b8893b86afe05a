"""What `auth-proxy` can be asked besides to run: one file per command.

A command returns a report; `cli` prints it. None of them changes anything but the key folder that
`keys` is told to change, and none shows a secret, a token or a private key.
"""
