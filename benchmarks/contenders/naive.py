"""The proxy that one writes in an afternoon: an aiohttp application, its client, PyJWT and a cache.

It is a measure of what the sidecar's own data path is worth. It is not safe: no canonical paths, no
screening of headers, no roster, no limits.
"""

import hashlib
import sys
from pathlib import Path
from typing import Any, Final

import aiohttp
import jwt
from aiohttp import web
from cachetools import TTLCache

from benchmarks.contenders.contender import Contender
from benchmarks.given import AUDIENCE, LOCAL, Given
from benchmarks.process import Command

_HOP_BY_HOP: Final = frozenset(
    {"connection", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade", "content-length"}
)


class _Proxy:
    def __init__(self, upstream: str, key: str, team: str) -> None:
        self._upstream = upstream
        self._key = key
        self._team = team
        self._known: TTLCache[bytes, dict[str, Any]] = TTLCache(10_000, ttl=300)

    async def open(self, _app: web.Application) -> Any:
        async with aiohttp.ClientSession(
            auto_decompress=False,
            cookie_jar=aiohttp.DummyCookieJar(),
            connector=aiohttp.TCPConnector(limit=0),
        ) as self._session:
            yield

    async def handle(self, request: web.Request) -> web.StreamResponse:
        try:
            claims = self._claims(request.headers.get("Cf-Access-Jwt-Assertion", ""))
        except jwt.PyJWTError:
            return web.Response(status=401, text="refused")
        headers = {name: value for name, value in request.headers.items() if name.lower() not in _HOP_BY_HOP}
        headers["X-Person"] = claims["email"]
        url = self._upstream + request.raw_path
        body = request.content if request.can_read_body else None
        async with self._session.request(request.method, url, headers=headers, data=body) as answer:
            kept = {name: value for name, value in answer.headers.items() if name.lower() not in _HOP_BY_HOP}
            return web.Response(status=answer.status, headers=kept, body=await answer.read())

    def _claims(self, token: str) -> dict[str, Any]:
        digest = hashlib.sha256(token.encode()).digest()
        if digest not in self._known:
            self._known[digest] = jwt.decode(
                token, self._key, algorithms=["RS256"], audience=AUDIENCE, issuer=self._team
            )
        return self._known[digest]


def _command(given: Given, _folder: Path, port: int) -> Command:
    upstream = f"http://{LOCAL}:{given.upstream}"
    words = (sys.executable, "-m", __name__, str(port), upstream, str(given.public_key), given.team)
    return Command(words, port)


def serve(port: int, upstream: str, key: str, team: str) -> None:
    """Run it until the process ends."""
    import uvloop  # noqa: PLC0415 - a platform without it can still run the other contenders

    proxy = _Proxy(upstream, key, team)
    app = web.Application()
    app.cleanup_ctx.append(proxy.open)
    app.router.add_route("*", "/{path:.*}", proxy.handle)
    web.run_app(app, host=LOCAL, port=port, access_log=None, print=None, loop=uvloop.new_event_loop())


NAIVE: Final = Contender(
    name="naive",
    title="naive aiohttp proxy, uvloop",
    program=Path(sys.executable).name,
    install="make run",
    version=(sys.executable, "-c", "from importlib.metadata import version; print(version('aiohttp'))"),
    command=_command,
)

if __name__ == "__main__":
    serve(int(sys.argv[1]), sys.argv[2], Path(sys.argv[3]).read_text(encoding="ascii"), sys.argv[4])
