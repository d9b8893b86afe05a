"""Where a credential hides in what is logged: in keys, raw headers, encoded text and addresses."""

import io
import json
import logging
import time
from collections.abc import Iterator
from typing import Any

import pytest
import structlog
from multidict import CIMultiDict

from service_kit.telemetry.logging import configure_logging, redact

ENROLLMENT = "enr_Zq3vT8xYw1Ks5Lm9"
SERVICE_TOKEN = "cfast_0123456789abcdef0123456789abcdef01234567"


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    """The stream of a configured log; afterwards the process's log is as before."""
    config, root, access = structlog.get_config(), logging.getLogger(), logging.getLogger("aiohttp.access")
    handlers, level, disabled = root.handlers[:], root.level, access.disabled
    text = io.StringIO()
    configure_logging("kit_test", stream=text)
    yield text
    structlog.configure(**config)
    root.handlers[:] = handlers
    root.setLevel(level)
    access.disabled = disabled


def logged(value: Any) -> str:
    return json.dumps(redact(None, "info", {"event": "x", "value": value}))


@pytest.mark.parametrize("secret", [ENROLLMENT, SERVICE_TOKEN])
@pytest.mark.parametrize("before", ["", "%3D", "x", "_", "/", "Bearer "])
def test_a_secret_is_found_without_a_boundary_before_it(secret: str, before: str) -> None:
    """A percent-encoded `=` ends in a letter: the secret after it is still one."""
    assert secret not in logged(f"q{before}{secret}&y=1")


def test_a_key_can_be_a_secret_too() -> None:
    """A mapping by token writes the token as a name."""
    assert ENROLLMENT not in logged({ENROLLMENT: 1})
    assert ENROLLMENT not in logged([{"a": {ENROLLMENT: {"b": 1}}}])


@pytest.mark.parametrize(
    "name", ["Cookie", "authorization", "Cf-Access-Client-Secret", "X-Admin-Enrollment-Token"]
)
def test_headers_are_redacted_in_every_form(name: str) -> None:
    """As a mapping, as pairs, and as the raw pairs of bytes that a server keeps; other headers stay."""
    plain = "no known shape"
    forms: list[Any] = [
        CIMultiDict({name: plain, "Host": "a"}),
        [(name, plain), ("Host", "a")],
        ((name.encode(), plain.encode()), (b"Host", b"a")),
    ]

    for form in forms:
        assert plain not in logged({"headers": form})
        assert "Host" in logged({"headers": form})


def test_a_password_in_a_url_is_taken_out() -> None:
    """A database's address may stay, the password in it may not."""
    text = logged("cannot reach postgresql://app:hunter2@db:5432/tenants from here")

    assert "postgresql://***@db:5432/tenants from here" in text
    assert "http://host:8080/a@b" in logged("http://host:8080/a@b")


def test_header_lines_that_a_library_quotes_are_redacted(stream: io.StringIO) -> None:
    """The parser of aiohttp writes the bytes of a bad request into the log, cookies and all."""
    quoted = b"GET / HTTP/1.1\r\nCookie: session=abc; x=y\r\nAuthorization: Bearer opaque\r\nHost: a"
    logging.getLogger("aiohttp.server").error("bad request: %r", quoted)

    entry = json.loads(stream.getvalue())
    assert r"Cookie: ***\r\nAuthorization: ***\r\nHost: a" in entry["event"]
    assert not {part for part in ("session=abc", "opaque") if part in stream.getvalue()}


def test_the_servers_own_error_lines_quote_nothing(stream: io.StringIO) -> None:
    """Aiohttp quotes the bytes that it could not parse, and a secret without its name looks like any text."""
    error = ValueError("Got more than 8190 bytes when reading: b'ax_token=SUPERSECRET")
    logging.getLogger("aiohttp.server").error("Error handling request from %s", "127.0.0.1", exc_info=error)

    assert "SUPERSECRET" not in stream.getvalue()
    assert "ValueError" in stream.getvalue()


def test_redaction_is_linear(stream: io.StringIO) -> None:
    """A line of colons, which a client can cause, must not stop the event loop."""
    started = time.process_time()
    logging.getLogger("elsewhere").warning("://%s", ":" * 200_000)

    assert stream.getvalue()
    assert time.process_time() - started < 0.5
