"""Answers below `/cdn-cgi/access/`, which never reach the sidecar: login, logout, keys and identity."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from aiohttp import web

from deploy.demo.forwarded_headers import ACCESS_COOKIE
from deploy.demo.issuer import COUNTRY, AccessIssuer, SigningKey
from deploy.demo.key_store import KeyStore
from deploy.demo.login import LOGIN_PATH, is_navigation, local_path, login_url
from deploy.demo.pages import Pages
from deploy.demo.people import CAST, TOKEN_KINDS, Person, TokenKind
from deploy.demo.sessions import LoginRequired, Sessions

CERTS_PATH = "/cdn-cgi/access/certs"
LOGOUT_PATH = "/cdn-cgi/access/logout"
IDENTITY_PATH = "/cdn-cgi/access/get-identity"
ROTATE_PATH = "/cdn-cgi/access/rotate-keys"

# `Secure` is missing because the demo speaks http, and without it browsers refuse Cloudflare's default
# `SameSite=None`.
COOKIE_ATTRIBUTES = "Path=/; HttpOnly; SameSite=Lax"

Handler = Callable[[web.Request], Awaitable[web.Response]]


def access_cookie(token: str) -> str:
    """The `Set-Cookie` value that signs a browser in."""
    return f"{ACCESS_COOKIE}={token}; {COOKIE_ATTRIBUTES}"


@dataclass(frozen=True, slots=True)
class AccessEndpoints:
    """The endpoints of one team; `key_store` is absent where a test brought its own issuer."""

    issuer: AccessIssuer
    sessions: Sessions
    pages: Pages
    audience: str
    upstream: str
    key_store: KeyStore | None

    async def answer(self, request: web.Request) -> web.Response:
        """The answer of the endpoint that the raw path names; none of them is ever forwarded."""
        path = request.raw_path.partition("?")[0]
        method = "GET" if request.method == "HEAD" else request.method
        by_method = self._routes().get(path)
        if by_method is None:
            return self.pages.message(404, "Not found", f"The edge has nothing at {path}.")
        if method not in by_method:
            return web.Response(status=405, headers={"Allow": ", ".join(sorted(by_method))})
        if method == "POST" and not self._is_same_origin(request):
            return self.pages.message(403, "Refused", "Another site sent this form.")
        return await by_method[method](request)

    def _routes(self) -> Mapping[str, Mapping[str, Handler]]:
        return {
            LOGIN_PATH: {"GET": self._chooser, "POST": self._choose},
            LOGOUT_PATH: {"GET": self._logout},
            CERTS_PATH: {"GET": self._certs},
            IDENTITY_PATH: {"GET": self._identity},
            ROTATE_PATH: {"POST": self._rotate},
        }

    def _is_same_origin(self, request: web.Request) -> bool:
        """Whether no other site's page sent a form; a command line sends neither header."""
        origin = request.headers.get("Origin", self.issuer.team_domain)
        site = request.headers.get("Sec-Fetch-Site", "none")
        return origin == self.issuer.team_domain and site in {"same-origin", "none"}

    async def _chooser(self, request: web.Request) -> web.Response:
        return self.pages.chooser(
            people=CAST,
            token_kinds=TOKEN_KINDS,
            redirect_url=local_path(request.query.get("redirect_url", "/")),
            team_domain=self.issuer.team_domain,
            audience=self.audience,
            upstream=self.upstream,
            kids=[key.kid for key in self.issuer.keys],
            login_path=LOGIN_PATH,
            rotate_path=ROTATE_PATH,
        )

    async def _choose(self, request: web.Request) -> web.Response:
        form = await request.post()
        try:
            choice = _choice(str(form.get("choice", "")))
        except KeyError:
            return self.pages.message(400, "Nobody chosen", "Go back and choose who you are.")
        target = local_path(str(form.get("redirect_url", "/")))
        cookie = access_cookie(self.sessions.sign_in(choice))
        return web.Response(status=303, headers={"Location": target, "Set-Cookie": cookie})

    async def _logout(self, request: web.Request) -> web.Response:
        self.sessions.sign_out(request.cookies.get(ACCESS_COOKIE, ""))
        page = self.pages.message(
            200,
            "You are signed out",
            "This session’s tokens are no longer accepted at this edge.",
            link=login_url("/"),
            link_text="Sign in again",
        )
        page.headers["Set-Cookie"] = f"{access_cookie('')}; Max-Age=0"
        return page

    async def _certs(self, _request: web.Request) -> web.Response:
        return web.json_response(self.issuer.certs_document())

    async def _identity(self, request: web.Request) -> web.Response:
        """Cloudflare's documented fields; 401 without a session, 404 for a token that is nobody's."""
        try:
            admission = self.sessions.admit(request.cookies.get(ACCESS_COOKIE, ""))
        except LoginRequired:
            return web.json_response({"error": "Access login required"}, status=401)
        if admission.person is None:
            return web.json_response({"error": "A service token has no identity"}, status=404)
        identity = _identity_document(admission.person, admission.signed_in_at, request.remote or "")
        return web.json_response(identity, headers={"Cache-Control": "no-store"})

    async def _rotate(self, request: web.Request) -> web.Response:
        """Demo only: at Cloudflare this is an API of the account."""
        replacement = await asyncio.to_thread(SigningKey.generate)
        self.issuer.rotate(replacement)
        if self.key_store is not None:
            self.key_store.save(self.issuer.keys)
        if is_navigation(request):
            form = await request.post()
            back = login_url(str(form.get("redirect_url", "/")))
            return web.Response(status=303, headers={"Location": back})
        current, previous = self.issuer.keys
        return web.json_response({"current": current.kid, "previous": previous.kid})


def _choice(key: str) -> Person | TokenKind:
    choices: tuple[Person | TokenKind, ...] = (*CAST, *TOKEN_KINDS)
    return {choice.key: choice for choice in choices}[key]


def _identity_document(person: Person, signed_in_at: int, ip: str) -> dict[str, object]:
    return {
        "id": person.sub,
        "name": person.name,
        "email": person.email,
        "user_uuid": person.sub,
        "account_id": "0" * 32,
        "idp": {"id": "demo", "type": "onetimepin"},
        "geo": {"country": COUNTRY},
        "iat": signed_in_at,
        "ip": ip,
        "auth_status": "NONE",
        "common_name": "",
        "service_token_id": "",
        "service_token_status": False,
        "is_warp": False,
        "is_gateway": False,
        "gateway_account_id": "",
        "device_id": "",
        "devicePosture": {},
        "device_sessions": {},
        "version": 2,
    }
