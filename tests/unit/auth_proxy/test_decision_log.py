"""Decisions are counted and written at the end of their turn of the loop, all together."""

import asyncio
import io
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
import structlog
from prometheus_client import CollectorRegistry

from auth_proxy.decision_log import Decision, DecisionLog, ProxyMetrics
from service_kit.clock import SystemClock
from service_kit.telemetry.logging import configure_logging


class CountingStream(io.StringIO):
    """A stream that knows how often it was written to."""

    def __init__(self) -> None:
        super().__init__()
        self.writes = 0

    def write(self, text: str) -> int:
        self.writes += 1
        return super().write(text)


@pytest.fixture
def stream() -> Iterator[CountingStream]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    stream = CountingStream()
    configure_logging("auth_proxy", stream=stream)
    structlog.configure(cache_logger_on_first_use=False)
    yield stream
    structlog.reset_defaults()
    root.handlers[:], root.level = handlers, level


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


@pytest.fixture
def log(registry: CollectorRegistry) -> DecisionLog:
    return DecisionLog(ProxyMetrics(registry), SystemClock())


def decision(request_id: str) -> Decision:
    return Decision(request_id, "GET", "/", status=200)


def granted(registry: CollectorRegistry) -> float | None:
    return registry.get_sample_value("auth_proxy_decisions_total", {"outcome": "granted", "reason": "ok"})


def written(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


async def test_a_turn_of_the_loop_is_counted_and_written_at_its_end(
    log: DecisionLog, registry: CollectorRegistry, stream: CountingStream
) -> None:
    """No client waits for a line: while its answer is on the way nothing is counted or written."""
    for name in ("req_1", "req_2", "req_3"):
        log.record(decision(name))
    before = granted(registry), stream.writes
    await asyncio.sleep(0)

    assert before == (0.0, 0)
    assert granted(registry) == 3.0
    assert [line["request_id"] for line in written(stream)] == ["req_1", "req_2", "req_3"]
    assert stream.writes == 1


async def test_the_next_turn_has_lines_of_its_own(log: DecisionLog, stream: CountingStream) -> None:
    """Nothing is written twice, and nothing that came after a look at what waits is forgotten."""
    log.record(decision("req_1"))
    await asyncio.sleep(0)
    log.record(decision("req_2"))
    await asyncio.sleep(0)

    assert [line["request_id"] for line in written(stream)] == ["req_1", "req_2"]


async def test_one_that_cannot_be_told_costs_no_other_its_line(
    log: DecisionLog, registry: CollectorRegistry, stream: CountingStream
) -> None:
    """A defect is a line of its own, with its trace."""

    def broken() -> Decision:
        raise ZeroDivisionError

    log.record(decision("req_1"))
    log.record_told(broken)
    log.record(decision("req_3"))
    await asyncio.sleep(0)

    lines = written(stream)
    assert [line["request_id"] for line in lines if line["event"] == "decision"] == ["req_1", "req_3"]
    assert [line["event"] for line in lines if "ZeroDivisionError" in line.get("exception", "")] == [
        "decision_not_written"
    ]
    assert granted(registry) == 2.0


async def test_a_turn_of_defects_writes_no_empty_line(log: DecisionLog, stream: CountingStream) -> None:
    """Every line of the log is a JSON object."""

    def broken() -> Decision:
        raise ZeroDivisionError

    log.record_told(broken)
    await asyncio.sleep(0)

    assert [line["event"] for line in written(stream)] == ["decision_not_written"]
