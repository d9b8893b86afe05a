"""The sidecar reads requests with one parser, the C one."""

import pytest
from aiohttp import http_parser

from auth_proxy.transport.listener import PureParserError, require_c_parser


def test_the_c_parser_is_there() -> None:
    """The installation of this test run would start."""
    require_c_parser()


def test_the_pure_parser_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """attacks.md section 1: it reads some requests differently, so nothing starts on it."""
    monkeypatch.setattr(http_parser, "HttpRequestParser", http_parser.HttpRequestParserPy)

    with pytest.raises(PureParserError, match="C parser"):
        require_c_parser()
