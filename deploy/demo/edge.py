"""The stand-in for Cloudflare Access on a developer's machine: one protected host in front of the sidecar.

It authenticates nobody: whoever reaches it may be any operator. Therefore it binds loopback only, answers
loopback only, signs in the name of no real team, and refuses to start in production.
"""

import asyncio
import errno
import logging
import os
import signal
import sys
from collections.abc import AsyncIterator, Mapping, Sequence

from aiohttp import web
from aiohttp.typedefs import Handler

from deploy.demo.access_endpoints import AccessEndpoints, access_cookie
from deploy.demo.forwarded_headers import ACCESS_COOKIE, Passage, new_ray
from deploy.demo.forwarding import (
    LONGEST_HEADER,
    MOST_HEADERS,
    Forwarder,
    SidecarSilent,
    Unforwardable,
    keep_answer_as_it_was,
    open_forwarder,
)
from deploy.demo.issuer import AccessIssuer
from deploy.demo.key_store import KeyStore
from deploy.demo.login import ask_for_login, is_navigation, local_path
from deploy.demo.loopback import is_loopback, loopback_addresses
from deploy.demo.pages import Pages
from deploy.demo.sessions import LoginRequired, Sessions
from deploy.demo.settings import EdgeSettings, RefusedInProduction, refuse_production, settings_from_arguments
from service_kit.clock import Clock, SystemClock
from service_kit.telemetry.logging import configure_logging

INSECURE = (
    "INSECURE BY DESIGN: this stand-in for Cloudflare Access lets anybody who reaches it be any operator. "
    "For development on this machine only; never expose it."
)
EXIT_REFUSED = 2
SHUTDOWN_SECONDS = 2.0

ENDPOINTS = web.AppKey("endpoints", AccessEndpoints)
SESSIONS = web.AppKey("sessions", Sessions)
SETTINGS = web.AppKey("settings", EdgeSettings)
PAGES = web.AppKey("pages", Pages)
FORWARDER = web.AppKey("forwarder", Forwarder)


class PortInUse(RuntimeError):  # noqa: N818 - the name is the refusal
    """Something else listens at the address."""


def create_edge(
    settings: EdgeSettings,
    *,
    clock: Clock,
    issuer: AccessIssuer | None = None,
    environment: Mapping[str, str] | None = None,
) -> web.Application:
    """The edge as an application; a test passes the issuer whose tokens it mints itself."""
    refuse_production(os.environ if environment is None else environment)
    logging.getLogger(__name__).warning(INSECURE)
    store = None if issuer else KeyStore(settings.data)
    issuer = issuer or AccessIssuer(
        settings.team_domain, clock, keys=KeyStore(settings.data).load_or_create_keys()
    )
    audience = settings.audience or KeyStore(settings.data).load_or_create_audience()
    sessions = Sessions(
        issuer,
        clock,
        audience,
        token_lifetime=settings.token_lifetime,
        session_lifetime=settings.session_lifetime,
    )
    # A middleware and no routes: also a target that no route could match comes to the one entry.
    app = web.Application(middlewares=[handle])
    app[SETTINGS] = settings
    app[SESSIONS] = sessions
    app[PAGES] = Pages()
    app[ENDPOINTS] = AccessEndpoints(issuer, sessions, app[PAGES], audience, settings.upstream, store)
    app.cleanup_ctx.append(_forwarder)
    app.on_response_prepare.append(keep_answer_as_it_was)
    return app


@web.middleware
async def handle(request: web.Request, handler: Handler) -> web.StreamResponse:
    """The one entry: refuse strangers, answer for Access, or pass the request on."""
    del handler  # there are no routes
    settings, pages = request.app[SETTINGS], request.app[PAGES]
    if not _came_over_loopback(request):
        return pages.message(403, "Refused", "The development edge answers this machine only.")
    if request.headers.get("Host", "").lower() != settings.host:
        # A page of another name that resolves to this machine (DNS rebinding) must not choose who you are.
        text = f"This edge protects {settings.host} and no other host."
        return pages.message(421, "Another host", text, link=settings.team_domain, link_text="Open it")
    if request.raw_path.startswith("/cdn-cgi/"):
        return await request.app[ENDPOINTS].answer(request)
    return await _pass_on(request)


async def _pass_on(request: web.Request) -> web.StreamResponse:
    settings, cookie = request.app[SETTINGS], request.cookies.get(ACCESS_COOKIE, "")
    try:
        admission = request.app[SESSIONS].admit(cookie)
    except LoginRequired:
        return ask_for_login(request)
    passage = Passage(admission, cookie, request.remote or "", settings.scheme, new_ray())
    set_cookie = access_cookie(admission.token) if admission.renewed else None
    try:
        return await request.app[FORWARDER].forward(request, passage, set_cookie)
    except SidecarSilent:
        return _bad_gateway(request, settings.upstream)
    except Unforwardable as unforwardable:
        return web.json_response({"error": f"Bad request: {unforwardable}"}, status=400)


def _bad_gateway(request: web.Request, upstream: str) -> web.Response:
    text = f"Bad gateway: the sidecar does not answer at {upstream}"
    if is_navigation(request):
        again = local_path(request.raw_path)
        return request.app[PAGES].message(502, text, "Start it first.", link=again, link_text="Try again")
    return web.json_response({"error": text}, status=502)


def _came_over_loopback(request: web.Request) -> bool:
    """Both ends of the connection, so that an application bound elsewhere by mistake still refuses."""
    ends = [request.get_extra_info("sockname"), request.get_extra_info("peername")]
    return all(isinstance(end, tuple) and is_loopback(str(end[0])) for end in ends)


async def _forwarder(app: web.Application) -> AsyncIterator[None]:
    async with open_forwarder(app[SETTINGS].upstream) as forwarder:
        app[FORWARDER] = forwarder
        yield


async def start_edge(app: web.Application) -> web.AppRunner:
    """Bind what the settings name and serve; `runner.cleanup()` ends it. Raises `PortInUse`."""
    runner = web.AppRunner(
        app,
        access_log=None,
        handler_cancellation=True,  # a browser that leaves a stream ends it upstream too
        auto_decompress=False,
        shutdown_timeout=SHUTDOWN_SECONDS,
        max_line_size=LONGEST_HEADER,
        max_field_size=LONGEST_HEADER,
        max_headers=MOST_HEADERS,
    )
    await runner.setup()
    try:
        for host, port in loopback_addresses(app[SETTINGS].listen):
            await _bind(runner, host, port)
    except BaseException:
        await runner.cleanup()
        raise
    return runner


async def _bind(runner: web.AppRunner, host: str, port: int) -> None:
    try:
        await web.TCPSite(runner, host, port).start()
    except OSError as refused:
        if refused.errno == errno.EADDRINUSE:
            raise PortInUse(f"port {port} of {host} is in use: end what listens there") from refused
        # `localhost` may name ::1 on a machine without IPv6; its other address then serves alone.
        if refused.errno != errno.EADDRNOTAVAIL or not runner.addresses:
            raise


async def serve(settings: EdgeSettings, clock: Clock) -> None:
    """Run until SIGINT or SIGTERM."""
    app = create_edge(settings, clock=clock)
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    runner = await start_edge(app)
    print(f"demo edge: open {settings.team_domain} (every request goes to {settings.upstream})", flush=True)
    try:
        await stop.wait()
    finally:
        await runner.cleanup()


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; 2 when it refuses to start."""
    try:
        settings = settings_from_arguments(sys.argv[1:] if arguments is None else arguments)
        asyncio.run(serve(settings, SystemClock()))
    except (RefusedInProduction, PortInUse, ValueError) as refused:
        print(f"demo edge: {refused}", file=sys.stderr)
        return EXIT_REFUSED
    return 0


if __name__ == "__main__":
    configure_logging("edge")  # redacts: the server's own error lines quote cookies
    sys.exit(main())
