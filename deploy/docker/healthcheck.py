"""Asks this container's own operations listener how it is; exit status 0 when it says 200.

It follows nothing, speaks to nobody but this process's listener, and needs no curl.

    healthcheck.py AUTH_PROXY_OPS_LISTEN /livez
"""

import os
import socket
import sys
from collections.abc import Mapping, Sequence

PORTS = {"AUTH_PROXY_OPS_LISTEN": 9090, "ADMIN_SERVICE_OPS_LISTEN": 9091, "TENANT_SERVICE_OPS_LISTEN": 9092}
_SECONDS = 2.0
_EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}


def main(arguments: Sequence[str], environ: Mapping[str, str]) -> int:
    """The exit status: 0 for 200, 1 for everything else."""
    variable, path = arguments
    listen = environ.get(variable) or f"127.0.0.1:{PORTS[variable]}"
    try:
        with connected(listen) as connection:
            connection.sendall(
                f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode()
            )
            status = connection.makefile("rb").readline(64).split(b" ")[1:2]
    except (OSError, ValueError) as error:
        sys.stdout.write(f"{listen}: {error}\n")  # the engine keeps what a check prints
        return 1
    return 0 if status == [b"200"] else 1


def connected(listen: str) -> socket.socket:
    """A connection to `host:port`, `[ipv6]:port` or `unix:/path`."""
    if listen.startswith("unix:"):
        connection = socket.socket(socket.AF_UNIX)
        connection.settimeout(_SECONDS)
        connection.connect(listen.removeprefix("unix:"))
        return connection
    host, _, port = listen.rpartition(":")
    host = host.strip("[]")
    return socket.create_connection((_EVERYWHERE.get(host, host), int(port)), timeout=_SECONDS)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], os.environ))
