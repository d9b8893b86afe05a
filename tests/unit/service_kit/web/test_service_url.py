"""Where a service listens: an origin or a socket, and nothing hidden in it."""

import aiohttp
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service_kit.web.service_url import ServiceUrl, open_session


@pytest.mark.parametrize(
    "text, url",
    [
        ("http://127.0.0.1:8081", ServiceUrl("http://127.0.0.1:8081")),
        ("http://127.0.0.1:8081/", ServiceUrl("http://127.0.0.1:8081")),
        ("https://tenant.internal", ServiceUrl("https://tenant.internal")),
        ("http://[::1]:8081", ServiceUrl("http://[::1]:8081")),
        ("http+unix:///run/admin.sock", ServiceUrl("http://localhost", "/run/admin.sock")),
    ],
)
def test_an_origin_or_a_socket_is_read(text: str, url: ServiceUrl) -> None:
    """architecture.md section 8."""
    assert ServiceUrl.parse(text) == url
    assert ServiceUrl.parse(url) is url
    assert str(url) == text.removesuffix("/")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x",
        "//host",
        "ftp://host",
        "http://",
        "http:///x",
        "http://host/path",
        "http://host?x",
        "http://host#x",
        "http://user@host",
        "http://user:word@host",
        "http://:word@host",
        "http://host:x",
        "http://host:0",
        "http://host:99999",
        "http://[word]",
        "http://[",
        "http+unix://run/x",
        "http+unix://",
    ],
)
def test_everything_else_is_refused_without_being_quoted(text: str) -> None:
    """A path would be lost, a password printed; a port that is none fails at the first request."""
    with pytest.raises(ValueError, match=r"^must (be http://host:port|name an absolute path)") as caught:
        ServiceUrl.parse(text)

    assert "word" not in str(caught.value)


@settings(max_examples=150, deadline=None)
@given(st.text(max_size=30).map(lambda text: f"http://{text}") | st.text(max_size=30))
def test_no_text_crashes_it(text: str) -> None:
    """Refused with our words, or read and written alike."""
    try:
        url = ServiceUrl.parse(text)
    except ValueError as error:
        assert str(error).startswith("must ")  # noqa: PT017 - a property: both ends are fine
        return

    assert ServiceUrl.parse(str(url)) == url


async def test_a_session_is_what_a_proxy_needs() -> None:
    """No cookies kept, nothing decoded, no header of its own, no total time."""
    async with open_session(ServiceUrl.parse("http://127.0.0.1:1"), limit=0) as session:
        assert isinstance(session.cookie_jar, aiohttp.DummyCookieJar)
        assert not session.auto_decompress
        assert (session.timeout.total, session.timeout.connect) == (None, 5)
        assert {"User-Agent", "Accept-Encoding", "Content-Type"} <= set(session.skip_auto_headers)
    async with open_session(ServiceUrl.parse("http+unix:///run/x.sock")) as session:
        assert isinstance(session.connector, aiohttp.UnixConnector)


@pytest.mark.parametrize(
    "text",
    [
        "http://host a:80",
        "http://host\\evil:80",
        "http://ho\nst",
        "http://ho\tst",
        "http://host\x00",
        "http://höst",
    ],
)
def test_an_origin_is_visible_ascii(text: str) -> None:
    """A URL parser drops a line break silently and reads a backslash as it likes: refused before it reads."""
    with pytest.raises(ValueError, match="must be http://host:port"):
        ServiceUrl.parse(text)
