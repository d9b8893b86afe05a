"""How quick the panel is with 10,000 tenants: what Chromium sees, and what the server takes.

`python -m benchmarks.panel` starts the demo's processes on a folder of its own, fills the tenants in and
prints a table in Markdown. One caller on a quiet stack; it says nothing about many callers.
"""

import argparse
import asyncio
import os
import shutil
import sqlite3
import statistics
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final

import aiohttp
from playwright.async_api import Browser, Page, async_playwright

from deploy.demo.issuer import AccessIssuer
from deploy.demo.key_store import KeyStore
from deploy.demo.people import ADA
from deploy.demo.processes import Processes
from deploy.demo.run import Ports, make_keys, programs_of
from deploy.demo.sample_data import make_sample_data, seed_first_operator
from service_kit.clock import SystemClock

PAGES: Final = {"Dashboard": "/manage", "Tenants": "/manage/tenants"}
GOAL_MS: Final = 50.0
_SIDECAR: Final = 8080
_WARM: Final = 10
_FIRST: Final = datetime(2026, 1, 1, tzinfo=UTC)
_PAINT: Final = """() => new Promise((tell) => new PerformanceObserver((list) => {
  const paint = list.getEntriesByName("first-contentful-paint")[0];
  if (paint) tell(paint.startTime);
}).observe({ type: "paint", buffered: true }))"""
_LOADED: Final = """() => performance.getEntriesByType("resource")
  .filter((one) => one.initiatorType !== "other" || one.transferSize)
  .concat(performance.getEntriesByType("navigation"))
  .map((one) => [one.name, one.transferSize])"""


@dataclass(frozen=True, slots=True)
class Figures:
    """One page; milliseconds, and bytes as they travelled, head and all."""

    name: str
    server: float
    slowest_of_twenty: float
    processors: float
    """What all processes of the stack worked for one request, which a busy machine does not change much."""
    first_paint: float
    paint_again: float
    requests: int
    transferred: int
    requests_again: int
    transferred_again: int


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tenants", type=int, default=10_000)
    parser.add_argument(
        "--requests", type=int, default=100, help="how often the server is asked for each page"
    )
    parser.add_argument("--offset", type=int, default=20_000, help="added to every port of the demo")
    arguments = parser.parse_args()
    asyncio.run(_measure(arguments))


async def _measure(arguments: argparse.Namespace) -> None:
    with tempfile.TemporaryDirectory(prefix="panel-") as folder:
        async with _stack(Path(folder), Ports(arguments.offset), arguments.tenants) as ports:
            served = {
                name: await _served(ports, Path(folder), path, arguments.requests)
                for name, path in PAGES.items()
            }
            async with _chromium() as browser:
                seen = [await _seen(browser, ports, name, path, served[name]) for name, path in PAGES.items()]
    print(table(seen, arguments.tenants))


@asynccontextmanager
async def _stack(data: Path, ports: Ports, tenants: int) -> AsyncIterator[Ports]:
    """The demo's processes with its cast; the tenants come past the API, as nobody waits for 10,000 forms."""
    programs = programs_of(ports, data)
    make_keys(data)
    token = await seed_first_operator({**os.environ, **programs[1].environment})
    processes = Processes(data / "logs")
    try:
        for program in programs:
            await processes.start(program)
        await processes.until_ready()
        await make_sample_data(ports.origin, token or "")
        fill(data / "tenant.db", tenants)
        yield ports
    finally:
        await processes.stop()


def fill(database: Path, tenants: int) -> None:
    """Tenants of every plan and status; a third waits for an owner, half has credit."""
    with closing(sqlite3.connect(database, timeout=30)) as connection, connection:
        (operator,) = connection.execute("SELECT created_by_operator_id FROM organizations").fetchone()
        connection.executemany(
            "INSERT INTO organizations (id, slug, name, primary_email, plan, currency, status, suspended_at,"
            " suspended_by, suspension_reason, created_by_operator_id, created_at, updated_at, version)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 1)",
            _organizations(tenants, operator),
        )
        connection.executemany(
            "INSERT INTO invitations (id, secret_hash, organization_id, email, role, status,"
            " inviter_operator_id, expires_at, attempts, created_at, updated_at, version)"
            " VALUES (?, ?, ?, ?, 'owner', 'pending', ?, ?, 0, ?, ?, 1)",
            _invitations(tenants, operator),
        )
        connection.executemany(
            "INSERT INTO billing_accounts (organization_id, replies_remaining, replies_reserved,"
            " replies_used, replies_granted, replies_expired, replies_voided, low_balance_threshold, version,"
            " created_at, updated_at) VALUES (?, ?, 0, ?, ?, 0, 0, 50, 1, ?, ?)",
            _accounts(tenants),
        )


def _organizations(tenants: int, operator: str) -> Iterator[tuple[Any, ...]]:
    for number in range(tenants):
        at = _text(_FIRST + number * timedelta(minutes=40))
        ended = (at, operator, "did not pay") if number % 50 == 0 else (None, None, None)
        plan = ("free", "starter", "pro", "enterprise")[number % 4]
        status = "suspended" if ended[0] else "active"
        name, email = f"Company number {number}", f"owner@company-{number}.example"
        yield (
            *(_id(number), f"company-{number}", name, email, plan, ("USD", "INR")[number % 2], status),
            *(*ended, operator, at, at),
        )


def _invitations(tenants: int, operator: str) -> Iterator[tuple[Any, ...]]:
    for number in range(0, tenants, 3):
        at = _text(datetime.now(UTC) - timedelta(hours=number % 40))
        until = _text(datetime.now(UTC) + timedelta(hours=1 + number % 40))
        email = f"owner@company-{number}.example"
        yield (f"inv_bench{number:08}", f"{number:064x}", _id(number), email, operator, until, at, at)


def _accounts(tenants: int) -> Iterator[tuple[Any, ...]]:
    for number in range(0, tenants, 2):
        at = _text(_FIRST)
        yield (_id(number), 100 + number, 50, 150 + number, at, at)


def _id(number: int) -> str:
    return f"org_{number:026}"


def _text(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


@dataclass(frozen=True, slots=True)
class Served:
    """Milliseconds of each request, and of processors for one."""

    times: list[float]
    processors: float


async def _served(ports: Ports, data: Path, path: str, requests: int) -> Served:
    """From the sidecar's front to the last byte, one request at a time on a kept connection."""
    store = KeyStore(data / "edge")
    issuer = AccessIssuer(ports.origin, SystemClock(), keys=store.load_or_create_keys())
    headers = {
        "Host": ports.origin.partition("://")[2],
        "Accept": "text/html",
        "Cf-Access-Jwt-Assertion": issuer.mint(ADA, audience=store.load_or_create_audience()),
    }
    found = []
    worked = 0.0
    async with aiohttp.ClientSession() as session:
        for number in range(_WARM + requests):
            if number == _WARM:
                worked = _processor_seconds()
            started = time.perf_counter()
            async with session.get(f"http://127.0.0.1:{ports.at(_SIDECAR)}{path}", headers=headers) as answer:
                await answer.read()
                if answer.status != HTTPStatus.OK:
                    raise SystemExit(f"{path} was answered with {answer.status}")
            found.append((time.perf_counter() - started) * 1000)
    return Served(found[_WARM:], (_processor_seconds() - worked) * 1000 / requests)


def _processor_seconds() -> float:
    """What the processes that this one started have worked so far."""
    tasks = Path("/proc/self/task")
    children = [child for task in tasks.iterdir() for child in (task / "children").read_text().split()]
    stats = [Path(f"/proc/{child}/stat").read_text().rpartition(")")[2].split() for child in children]
    return sum(int(stat[11]) + int(stat[12]) for stat in stats) / os.sysconf("SC_CLK_TCK")


@asynccontextmanager
async def _chromium() -> AsyncIterator[Browser]:
    path = (
        os.environ.get("SALLYPORT_CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
    )
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=path, args=["--no-sandbox", "--disable-gpu"]
        )
        yield browser
        await browser.close()


async def _seen(browser: Browser, ports: Ports, name: str, path: str, served: Served) -> Figures:
    """A first visit with an empty cache, and a second one."""
    context = await browser.new_context(viewport={"width": 1440, "height": 900})
    page = await context.new_page()
    await page.goto(f"{ports.origin}/static/panel/none")
    await page.click(f'button[value="{ADA.key}"]')
    first = await _visit(page, ports.origin + path)
    again = await _visit(page, ports.origin + path)
    await context.close()
    return Figures(
        name,
        statistics.median(served.times),
        statistics.quantiles(served.times, n=20)[-1],
        served.processors,
        first[0],
        again[0],
        *first[1:],
        *again[1:],
    )


async def _visit(page: Page, url: str) -> tuple[float, int, int]:
    await page.goto(url, wait_until="load")
    paint: float = await page.evaluate(_PAINT)
    loaded: list[tuple[str, int]] = await page.evaluate(_LOADED)
    travelled = [size for _, size in loaded if size]
    return paint, len(travelled), sum(travelled)


def table(seen: list[Figures], tenants: int) -> str:
    """Markdown; a median over the goal is marked."""
    heads = ("server", "95th", "processors", "first paint", "again", "requests", "transferred", "again")
    lines = [f"| with {tenants:,} tenants | {' | '.join(heads)} |", "|---" * (len(heads) + 1) + "|"]
    lines += [f"| {' | '.join(_cells(one))} |" for one in seen]
    return "\n".join(lines)


def _cells(one: Figures) -> tuple[str, ...]:
    late = " (over the goal)" if one.server > GOAL_MS else ""
    return (
        *(one.name, f"{one.server:.0f} ms{late}", f"{one.slowest_of_twenty:.0f} ms"),
        *(f"{one.processors:.0f} ms", f"{one.first_paint:.0f} ms", f"{one.paint_again:.0f} ms"),
        *(str(one.requests), f"{one.transferred / 1000:.1f} kB"),
        f"{one.requests_again}, {one.transferred_again / 1000:.1f} kB",
    )


if __name__ == "__main__":
    main()
