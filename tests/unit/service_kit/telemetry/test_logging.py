"""Log lines: JSON, and nothing in them that could be used as a credential."""

import io
import json
import logging
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog

from service_kit.telemetry.logging import configure_logging, get_logger, redact, static_fields

JWT = "eyJhbGciOiJFZERTQSJ9.eyJzdWIiOiJzZWNyZXQifQ.c2lnbmF0dXJl-_x"
SECRETS = [
    JWT,
    f"Bearer {JWT}",
    f"https://x/?t={JWT}&y=1",
    JWT.rsplit(".", 1)[0] + ".",
    "enr_" + "a-_B" * 10,
    "axs_" + "a-_B" * 10,
    "cfast_0123456789abcdef",
    "inv_01HZZZZZZZZZZZZZZZZZZZZZZZ_01HSECRETSECRETSECRETSECRE",
]
HARMLESS = ["inv_01HZZZZZZZZZZZZZZZZZZZZZZZ", "aud_01HZ", "eyJ", "a.b.c", "enrollment", "req_01"]


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    stream = io.StringIO()
    configure_logging("sample", stream=stream)
    structlog.configure(cache_logger_on_first_use=False)
    yield stream
    structlog.reset_defaults()
    root.handlers[:], root.level = handlers, level


def line(stream: io.StringIO) -> dict[str, Any]:
    (only,) = stream.getvalue().splitlines()
    parsed: dict[str, Any] = json.loads(only)
    return parsed


@pytest.mark.parametrize("secret", SECRETS)
def test_what_is_shaped_like_a_credential_is_taken_out(secret: str) -> None:
    """At the top, inside a list or mapping, as bytes or in an object: the text never gets through."""

    class Holder:
        def __repr__(self) -> str:
            return f"Holder({secret})"

    for value in (
        secret,
        [secret],
        {"a": {"b": (secret,)}},
        secret.encode(),
        Holder(),
        {1: secret},
        {secret},
    ):
        shown = json.dumps(redact(None, "", {"field": value}))
        assert "***" in shown
        assert secret.removeprefix("Bearer ").removeprefix("https://x/?t=").split("&")[0] not in shown


@pytest.mark.parametrize("text", HARMLESS)
def test_what_is_not_is_kept(text: str) -> None:
    """The public half of an invitation and other ids are what an engineer looks for."""
    assert redact(None, "", {"field": text, "number": 5, "none": None, "yes": True}) == {
        "field": text,
        "number": 5,
        "none": None,
        "yes": True,
    }


@pytest.mark.parametrize(
    "name",
    [
        "token",
        "access_token",
        "Cookie",
        "set-cookie",
        "client_secret",
        "PASSWORD",
        "Authorization",
        "Cf-Access-Jwt-Assertion",
    ],
)
def test_what_is_named_like_a_credential_is_taken_out(name: str) -> None:
    """Whatever its shape, and at any depth."""
    assert redact(None, "", {name: "plain"}) == {name: "***"}
    assert redact(None, "", {"headers": {name: "plain", "accept": "x"}}) == {
        "headers": {name: "***", "accept": "x"}
    }


def test_a_token_id_is_no_token() -> None:
    """The jti is how two lines are matched."""
    assert redact(None, "", {"token_id": "abc"}) == {"token_id": "abc"}


def test_a_line_is_one_json_object_with_its_service(stream: io.StringIO) -> None:
    """Also when the text holds line breaks."""
    get_logger("module").info("happened", text="a\nb", token="x")
    found = line(stream)

    assert (found["event"], found["service"], found["logger_name"]) == ("happened", "sample", "module")
    assert (found["text"], found["token"], found["level"]) == ("a\nb", "***", "info")
    assert found["timestamp"].endswith("Z")


def test_a_trace_is_redacted_too(stream: io.StringIO) -> None:
    """An exception may quote what it choked on."""

    def fail() -> None:
        raise ValueError(f"bad token {JWT}")

    try:
        fail()
    except ValueError:
        get_logger("module").exception("failed")

    found = line(stream)
    assert "ValueError: bad token ***" in found["exception"]
    assert JWT not in stream.getvalue()


def test_libraries_are_redacted_too(stream: io.StringIO) -> None:
    """attacks.md section 1: aiohttp's parser logs the offending line, with the token in it."""
    logging.getLogger("aiohttp.server").error("Error handling %r", f"GET / {JWT}")
    found = line(stream)

    assert (found["event"], found["logger"], found["level"]) == (
        "Error handling 'GET / ***'",
        "aiohttp.server",
        "error",
    )


def test_access_lines_of_libraries_are_off(stream: io.StringIO) -> None:
    """They hold paths and queries; our own decision line does not."""
    logging.getLogger("aiohttp.access").error("GET /secret?x=y")
    logging.getLogger("anything").info("below warning")

    assert stream.getvalue() == ""


def test_what_is_the_same_in_all_lines_is_told_to_other_writers(stream: io.StringIO) -> None:
    """The number of a worker stands in each line, a library's too; who writes lines itself can ask for it."""
    configure_logging("sample", stream=stream, fields={"worker": 3})
    get_logger("x").info("happened", worker_of="x")
    logging.getLogger("some.library").warning("careful")
    lines = [json.loads(text) for text in stream.getvalue().splitlines()]

    assert [(found["service"], found["worker"]) for found in lines] == [("sample", 3), ("sample", 3)]
    assert static_fields() == {"service": "sample", "worker": 3}


def test_before_the_log_is_set_up_nothing_is_the_same(stream: io.StringIO) -> None:
    """A test that configures nothing writes lines without fields."""
    configured = static_fields()
    structlog.reset_defaults()

    assert configured == {"service": "sample"}
    assert static_fields() == {}
    assert stream.getvalue() == ""


def test_processes_that_share_a_stream_break_no_line_of_each_other(tmp_path: Path) -> None:
    """Workers write to one standard error: a line and its end are one write."""
    talk = """
from service_kit.telemetry.logging import configure_logging, get_logger
configure_logging("talker")
log = get_logger("module")
for number in range(2000):
    log.info("said", number=number)
"""
    path = tmp_path / "log"
    with path.open("wb") as file:
        talkers = [subprocess.Popen([sys.executable, "-u", "-c", talk], stderr=file) for _ in range(3)]
        assert [talker.wait(60) for talker in talkers] == [0, 0, 0]

    lines = [json.loads(text) for text in path.read_text().splitlines()]
    assert sorted(line["number"] for line in lines) == sorted(list(range(2000)) * 3)
