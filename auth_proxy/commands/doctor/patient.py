"""What every check of `doctor` is given, and how one of them asks an address.

It follows no redirect, keeps no cookie and reads no more of an answer than it needs.
"""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

import aiohttp

from auth_proxy.commands.report import Finding
from auth_proxy.settings import ProxySettings
from service_kit.clock import Clock
from service_kit.web.service_url import ServiceUrl, open_session

ASK_SECONDS: Final = 4.0
"""Less than a check may take, so that an address that hangs is named by its check."""
_MOST_BYTES: Final = 256 * 1024


@dataclass(frozen=True, slots=True)
class Patient:
    """The sidecar that is looked at. `token` is a real one from an operator's browser, if there is one."""

    settings: ProxySettings
    clock: Clock
    token: str | None = None


Check = Callable[[Patient], Awaitable[Iterable[Finding]]]


@dataclass(frozen=True, slots=True)
class Asked:
    """What an address answered."""

    status: int
    body: bytes = field(repr=False)


async def ask(url: ServiceUrl, path: str, headers: Mapping[str, str] | None = None) -> Asked:
    """One GET. Raises aiohttp.ClientError, OSError or TimeoutError."""
    async with (
        open_session(url, limit=1) as session,
        session.get(
            url.base + path,
            headers=headers,
            allow_redirects=False,
            timeout=aiohttp.ClientTimeout(total=ASK_SECONDS),
        ) as response,
    ):
        return Asked(response.status, await response.content.read(_MOST_BYTES))


def cause(error: BaseException) -> str:
    """Why nothing answered, in words that quote no answer."""
    match error:
        case aiohttp.ClientConnectorDNSError():
            return "the name does not resolve"
        case aiohttp.ClientConnectorCertificateError():
            return "its certificate is not valid for this name"
        case aiohttp.ClientConnectorSSLError():
            return "it does not speak TLS: plain http answers where https should"
        case TimeoutError():
            return "no answer in time"
        case aiohttp.ClientConnectorError() | ConnectionRefusedError():
            return "nothing listens there"
        case _:
            return f"the connection broke ({type(error).__name__})"
