"""The sidecar reads requests with one parser, the C one."""

import pytest
from aiohttp import ClientError, ClientSession, http_parser, web
from aiohttp.test_utils import RawTestServer

from auth_proxy.refusals import Refusal
from auth_proxy.transport.listener import GateServer, PureParserError, require_c_parser


def test_the_c_parser_is_there() -> None:
    """The installation of this test run would start."""
    require_c_parser()


def test_the_pure_parser_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """attacks.md section 1: it reads some requests differently, so nothing starts on it."""
    monkeypatch.setattr(http_parser, "HttpRequestParser", http_parser.HttpRequestParserPy)

    with pytest.raises(PureParserError, match="C parser"):
        require_c_parser()


async def test_a_client_that_left_is_no_failure_of_ours() -> None:
    """One line per request: a ConnectionError of the gate, which wrote its own, is not refused once more."""
    refused = list[Refusal]()

    async def gone(_request: web.BaseRequest) -> web.StreamResponse:
        raise ConnectionResetError("the client left")

    def unparsed(refusal: Refusal) -> web.StreamResponse:
        refused.append(refusal)
        return web.Response(status=500)

    class Server(RawTestServer):
        async def _make_runner(self, debug: bool = True, **_kwargs: object) -> web.ServerRunner:  # noqa: ARG002, FBT - aiohttp names it
            return web.ServerRunner(GateServer(gone, unparsed))

    async with Server(gone) as server, ClientSession() as session:
        with pytest.raises(ClientError):
            await session.get(server.make_url("/"))

    assert refused == []
