"""nginx: the upstream of everybody, and a plain proxy among the contenders."""

import os
import pwd
from pathlib import Path
from typing import Final

from benchmarks.contenders.contender import Contender, find, written
from benchmarks.given import LOCAL, SIZES, Given
from benchmarks.process import Command

_CONFIGURATION: Final = """\
{user}worker_processes 1;
daemon off;
pid {folder}/nginx.pid;
error_log {folder}/error.log crit;
events {{ worker_connections 20000; }}
http {{
    access_log off;
    default_type text/html;
    keepalive_timeout 3600s;
    keepalive_requests 1000000000;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
{http}}}
"""
_UPSTREAM: Final = """\
    sendfile on;
    tcp_nopush on;
    open_file_cache max=100 inactive=1h;
    server {{ listen {local}:{port} backlog=4096; root {folder}/files; }}
"""
# Without these two lines nginx opens a connection for each request, and is three times as slow.
_PROXY: Final = """\
    upstream frontend {{
        server {local}:{upstream};
        keepalive 256;
        keepalive_requests 1000000000;
        keepalive_timeout 3600s;
    }}
    server {{
        listen {local}:{port} backlog=4096;
        location / {{
            proxy_pass http://frontend;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_set_header Host $host;
            proxy_max_temp_file_size 0;
        }}
    }}
"""


def upstream_command(folder: Path, port: int) -> Command:
    """The static upstream: one file for each size of a body."""
    files = folder / "files"
    files.mkdir()
    for name, size in SIZES.items():
        (files / name).write_bytes(b"x" * size)
    return command_for(folder, port, _UPSTREAM.format(local=LOCAL, port=port, folder=folder))


def _proxy(given: Given, folder: Path, port: int) -> Command:
    return command_for(folder, port, _PROXY.format(local=LOCAL, port=port, upstream=given.upstream))


def command_for(folder: Path, port: int, http: str) -> Command:
    """An nginx of one worker with this in its `http` block."""
    text = _CONFIGURATION.format(user=_user(), folder=folder, http=http)
    return Command((find("nginx"), "-p", str(folder), "-c", written(folder, "nginx.conf", text)), port)


def _user() -> str:
    """Root's nginx would go on as somebody who cannot read the folder of the run."""
    return f"user {pwd.getpwuid(os.geteuid()).pw_name};\n" if os.geteuid() == 0 else ""


NGINX: Final = Contender(
    name="nginx",
    title="nginx, plain",
    program="nginx",
    install="apt install nginx",
    version=("nginx", "-v"),
    command=_proxy,
    verifies=False,
)
