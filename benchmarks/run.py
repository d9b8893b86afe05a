"""`make bench`: what the sidecar costs, as a ratio to the bare upstream in the same run.

The load (wrk) and the upstream share one core, the sidecar has the other. Rounds are interleaved, so
that a machine that slows down slows down everybody. Peers join the same table with the data path's
own issue; until then the ratio to a direct connection is what is told.
"""

import asyncio
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import aiohttp
from aiohttp import web

from deploy.demo.issuer import AccessIssuer
from deploy.demo.people import Person
from service_kit.clock import SystemClock
from service_kit.identity.keys import new_signing_key

ROUNDS, SECONDS, CONNECTIONS, TOKENS = 3, 3, 64, 1000
UPSTREAM, SIDECAR, OPS, TEAM = 18501, 18502, 18503, 18504
AUD = "b" * 64
_FOLDER = Path(__file__).parent


@dataclass(frozen=True)
class Row:
    """One round of one contender."""

    rps: float
    p50_ms: float
    p99_ms: float
    errors: int


async def main() -> int:
    """Measure, print the table, and return the exit status."""
    if shutil.which("wrk") is None:
        print("make bench needs wrk (Debian: apt install wrk)", file=sys.stderr)
        return 1
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder)
        async with _team() as issuer, _processes(data):
            tokens = data / "tokens"
            tokens.write_text("\n".join(_tokens(issuer)))
            rows = await _rounds(tokens)
    _print(rows)
    return 0


def _tokens(issuer: AccessIssuer) -> list[str]:
    return [
        issuer.mint(Person.with_email(f"person{number}@example.com"), audience=AUD)
        for number in range(TOKENS)
    ]


@asynccontextmanager
async def _team() -> AsyncIterator[AccessIssuer]:
    issuer = AccessIssuer(f"http://127.0.0.1:{TEAM}", SystemClock())
    app = web.Application()

    async def certs(_request: web.Request) -> web.Response:
        return web.json_response(issuer.certs_document())

    app.router.add_get("/cdn-cgi/access/certs", certs)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", TEAM).start()
    yield issuer
    await runner.cleanup()


@asynccontextmanager
async def _processes(data: Path) -> AsyncIterator[None]:
    new_signing_key(data / "identity.pem")
    environment = {
        **os.environ,
        "APP_ENV": "development",
        "ADMIN_HOST": "admin.example.com",
        "CF_ACCESS_TEAM_DOMAIN": f"http://127.0.0.1:{TEAM}",
        "CF_ACCESS_AUD": AUD,
        "AUTH_PROXY_LISTEN": f"127.0.0.1:{SIDECAR}",
        "AUTH_PROXY_OPS_LISTEN": f"127.0.0.1:{OPS}",
        "AUTH_PROXY_UPSTREAM": f"http://127.0.0.1:{UPSTREAM}",
        "AUTH_PROXY_ROSTER": "open:support",
        "INTERNAL_SIGNING_KEY_FILE": str(data / "identity.pem"),
    }
    with (data / "sidecar.log").open("wb") as log:
        started = [
            await _start(["-m", "benchmarks.upstream", str(UPSTREAM)], os.environ, core=0, log=log.fileno()),
            await _start(["-m", "auth_proxy", "run"], environment, core=1, log=log.fileno()),
        ]
        try:
            await _until_ready(f"http://127.0.0.1:{UPSTREAM}/")
            await _until_ready(f"http://127.0.0.1:{OPS}/readyz")
            yield
        finally:
            for process in started:
                process.terminate()
                await process.wait()


async def _start(
    arguments: list[str], environment: Mapping[str, str], *, core: int, log: int
) -> asyncio.subprocess.Process:
    pinned = ["taskset", "-c", str(core)] if (os.cpu_count() or 1) > 1 and shutil.which("taskset") else []
    return await asyncio.create_subprocess_exec(
        *pinned, sys.executable, *arguments, env=dict(environment), stdout=log, stderr=subprocess.STDOUT
    )


async def _until_ready(url: str) -> None:
    async with aiohttp.ClientSession() as session, asyncio.timeout(15):
        while True:
            try:
                async with session.get(url) as response:
                    if response.status == 200:
                        return
            except aiohttp.ClientError:
                pass
            await asyncio.sleep(0.1)


async def _rounds(tokens: Path) -> dict[str, list[Row]]:
    contenders = {"upstream, direct": UPSTREAM, "sidecar": SIDECAR}
    for port in contenders.values():
        await _wrk(port, tokens, seconds=1)
    rows: dict[str, list[Row]] = {name: [] for name in contenders}
    for _ in range(ROUNDS):
        for name, port in contenders.items():
            rows[name].append(await _wrk(port, tokens, seconds=SECONDS))
    return rows


async def _wrk(port: int, tokens: Path, *, seconds: int) -> Row:
    process = await asyncio.create_subprocess_exec(
        *("wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", "--latency", "-s", str(_FOLDER / "rotate.lua")),
        f"http://127.0.0.1:{port}/page",
        *("--", str(tokens)),
        stdout=asyncio.subprocess.PIPE,
    )
    output = (await process.communicate())[0].decode()
    if float(_field(r"Requests/sec:\s+([\d.]+)", output) or 0) == 0:
        raise RuntimeError(f"wrk measured nothing at port {port}:\n{output}")
    if not _field(r"50%\s+(\S+)", output) or float(_field(r"Requests/sec:\s+([\d.]+)", output)) == 0:
        raise RuntimeError(f"wrk measured nothing:\n{output}")
    return Row(
        rps=float(_field(r"Requests/sec:\s+([\d.]+)", output)),
        p50_ms=_milliseconds(_field(r"50%\s+(\S+)", output)),
        p99_ms=_milliseconds(_field(r"99%\s+(\S+)", output)),
        errors=int(_field(r"Non-2xx or 3xx responses: (\d+)", output) or 0),
    )


def _field(pattern: str, output: str) -> str:
    match = re.search(pattern, output)
    return match.group(1) if match else ""


def _milliseconds(text: str) -> float:
    number, unit = re.match(r"([\d.]+)(\w+)", text).groups()  # type: ignore[union-attr] # wrk's own format
    return float(number) * {"us": 0.001, "ms": 1.0, "s": 1000.0}[unit]


def _print(rows: Mapping[str, list[Row]]) -> None:
    print(
        f"\n1 KB GET, {CONNECTIONS} keep-alive connections, {TOKENS} distinct tokens, a unique Cf-Ray each;"
    )
    print(f"medians of {ROUNDS} interleaved rounds of {SECONDS} s, one core for the sidecar\n")
    print(f"{'':<18}{'rps':>9}{'µs/request':>12}{'p50 ms':>9}{'p99 ms':>9}{'refused':>9}")
    for name, measured in rows.items():
        rps = statistics.median(row.rps for row in measured)
        p50 = statistics.median(row.p50_ms for row in measured)
        p99 = statistics.median(row.p99_ms for row in measured)
        errors = sum(row.errors for row in measured)
        print(f"{name:<18}{rps:>9.0f}{1e6 / rps:>12.1f}{p50:>9.2f}{p99:>9.2f}{errors:>9}")
    pairs = zip(rows["sidecar"], rows["upstream, direct"], strict=True)
    ratio = statistics.median(sidecar.rps / direct.rps for sidecar, direct in pairs)
    print(f"\nsidecar ÷ direct, median of the paired rounds: {ratio:.2f}\n")


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
