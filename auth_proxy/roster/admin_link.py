"""The sidecar's own calls to the admin service, each with a process identity of its own.

It asks for the roster and reports enrollments and activity; it never acts for an operator here.
"""

from collections.abc import Mapping
from typing import Any, Final

import aiohttp

from service_kit.identity.binding import IDENTITY_HEADER, SAFE_METHODS
from service_kit.identity.model import Scope
from service_kit.identity.signing import IdentitySigner, RequestBinding, Subject
from service_kit.web.service_url import ServiceUrl, open_session

_AUDIENCE: Final = "admin_service"
_SIDECAR: Final = Subject(sub="auth_proxy", scope=Scope.ROSTER)


class AdminLink:
    """A client of the admin service's internal endpoints."""

    def __init__(self, url: ServiceUrl, signer: IdentitySigner) -> None:
        self._url = url
        self._signer = signer
        self._session: aiohttp.ClientSession | None = None

    async def start(self) -> None:
        self._session = open_session(self._url)

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()

    def request(
        self,
        method: str,
        target: str,
        *,
        json: Any = None,
        headers: Mapping[str, str] | None = None,
        timeout: aiohttp.ClientTimeout | None = None,
    ) -> Any:
        """An aiohttp request context. Raises aiohttp.ClientError, TimeoutError or SigningError."""
        if self._session is None:
            raise RuntimeError("the link was not started")
        binding = None if method in SAFE_METHODS else RequestBinding(method, target)
        token = self._signer.sign(_SIDECAR, audience=_AUDIENCE, binding=binding)
        sent = {**(headers or {}), IDENTITY_HEADER: token}
        if json is not None:
            sent["Content-Type"] = "application/json"
        return self._session.request(
            method,
            self._url.base + target,
            json=json,
            headers=sent,
            allow_redirects=False,
            timeout=timeout or aiohttp.ClientTimeout(total=5),
        )
