"""A real Prometheus with the shipped rules, which waits for nothing longer than two seconds."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import aiohttp
import yaml

from tests.deploy.monitoring.monitored import MONITORING, RULES, tool
from tests.fixtures.ports import free_port

READY_SECONDS: Final = 60.0


@dataclass(frozen=True, slots=True)
class Prometheus:
    """Its address, and the questions of a test."""

    url: str
    session: aiohttp.ClientSession

    async def result(self, query: str) -> list[dict[str, Any]]:
        """The vector that a query gives. A query that it does not take is a failure."""
        async with self.session.post(f"{self.url}/api/v1/query", data={"query": query}) as answer:
            document = await answer.json()
        assert document["status"] == "success", (query, document)
        found: list[dict[str, Any]] = document["data"]["result"]
        return found

    async def fires(self, alert: str) -> bool:
        return bool(await self.result(f'ALERTS{{alertname="{alert}", alertstate="firing"}}'))

    async def targets(self) -> Mapping[str, str]:
        """The health of each target by its job."""
        async with self.session.get(f"{self.url}/api/v1/targets?state=active") as answer:
            document = await answer.json()
        return {found["labels"]["job"]: found["health"] for found in document["data"]["activeTargets"]}

    async def rule_problems(self) -> list[tuple[str, str]]:
        """Each rule whose last evaluation failed, with the error."""
        async with self.session.get(f"{self.url}/api/v1/rules") as answer:
            document = await answer.json()
        rules = [rule for group in document["data"]["groups"] for rule in group["rules"]]
        return [(rule["name"], rule.get("lastError", "")) for rule in rules if rule.get("lastError")]


@asynccontextmanager
async def prometheus(folder: Path, targets: Mapping[str, str]) -> AsyncIterator[Prometheus]:
    """Start it on the example's configuration, with these addresses by job and all waits cut short."""
    program, port = tool("prometheus"), free_port()
    folder.mkdir()
    with (folder / "log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            program,
            f"--config.file={_configuration(folder, targets)}",
            f"--storage.tsdb.path={folder / 'data'}",
            f"--web.listen-address=127.0.0.1:{port}",
            "--log.level=warn",
            stdout=asyncio.subprocess.DEVNULL,
            stderr=log,
        )
    try:
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=20)) as session:
            server = Prometheus(f"http://127.0.0.1:{port}", session)
            await _until_ready(server, process, folder)
            yield server
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()


def _configuration(folder: Path, targets: Mapping[str, str]) -> Path:
    document = yaml.safe_load((MONITORING / "prometheus.yml").read_text(encoding="utf-8"))
    document["global"] = {"scrape_interval": "2s", "scrape_timeout": "2s", "evaluation_interval": "1s"}
    del document["alerting"]
    document["rule_files"] = [str(_hurried(path, folder)) for path in RULES]
    for scrape in document["scrape_configs"]:
        scrape["static_configs"] = [{"targets": [targets[scrape["job_name"]]]}]
    found = folder / "prometheus.yml"
    found.write_text(yaml.safe_dump(document), encoding="utf-8")
    return found


def _hurried(path: Path, folder: Path) -> Path:
    """The same rules, each evaluated every second, and an alert after one."""
    document = yaml.safe_load(path.read_text(encoding="utf-8"))
    for group in document["groups"]:
        group.pop("interval", None)
        for rule in group["rules"]:
            if "for" in rule:
                rule["for"] = "1s"
    found = folder / path.name
    found.write_text(yaml.safe_dump(document), encoding="utf-8")
    return found


async def _until_ready(server: Prometheus, process: asyncio.subprocess.Process, folder: Path) -> None:
    async with asyncio.timeout(READY_SECONDS):
        while True:
            assert process.returncode is None, (folder / "log").read_text(encoding="utf-8")
            with contextlib.suppress(aiohttp.ClientError):
                async with server.session.get(f"{server.url}/-/ready") as answer:
                    if answer.status == 200:
                        return
            await asyncio.sleep(0.1)
