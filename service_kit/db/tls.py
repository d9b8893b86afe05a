"""How a connection to PostgreSQL is protected, in libpq's words: `?sslmode=verify-full&sslrootcert=…`.

The driver knows `ssl` only, and takes it for granted that a server without TLS may be spoken to in the clear.
A mode that is misspelt must therefore never be passed over.
"""

import re
import ssl
from collections.abc import Mapping
from typing import Any, Final

from sqlalchemy.engine import URL

MODES: Final = ("disable", "prefer", "require", "verify-ca", "verify-full")
_PROVEN: Final = ("verify-ca", "verify-full")
TLS_MODE: Final = "sslmode"
_ROOT, _CERTIFICATE, _KEY = "sslrootcert", "sslcert", "sslkey"
_PARAMETERS: Final = (TLS_MODE, _ROOT, _CERTIFICATE, _KEY)
EMPTY_PARAMETER: Final = re.compile(f"[?&]({'|'.join(_PARAMETERS)})=?(?=&|$)")
"""In a URL: a mode that nobody filled in would be none, and a root like that would be any root."""


class TlsError(ValueError):
    """The URL asks for a protection that cannot be given; the text names the parameter, never a value."""


def without_tls_parameters(url: URL) -> URL:
    """The URL as the driver may see it."""
    return url.difference_update_query(_PARAMETERS)


def tls_arguments(url: URL) -> Mapping[str, Any]:
    """What the driver's `connect` is called with; empty when the URL says nothing. Raises TlsError."""
    given = {name: _single(url, name) for name in _PARAMETERS if name in url.query}
    mode = given.get(TLS_MODE)
    if mode is None and not given:
        return {}
    if mode not in MODES:
        raise TlsError(f"{TLS_MODE} must be one of {', '.join(MODES)}")
    if mode not in _PROVEN:
        if len(given) > 1:
            raise TlsError(f"certificates need {TLS_MODE}=verify-full or verify-ca")
        return {"ssl": mode}
    return {"ssl": _context(given, checks_name=mode == "verify-full")}


def _single(url: URL, name: str) -> str:
    value = url.query[name]
    if not isinstance(value, str):
        raise TlsError(f"{name} must be given once")
    return value


def _context(given: Mapping[str, str], *, checks_name: bool) -> ssl.SSLContext:
    """The server must prove itself by the named root, or by one that this machine trusts."""
    try:
        context = ssl.create_default_context(cafile=given.get(_ROOT))
        if _KEY in given and _CERTIFICATE not in given:
            raise TlsError(f"{_KEY} needs {_CERTIFICATE}")
        if _CERTIFICATE in given:
            context.load_cert_chain(given[_CERTIFICATE], given.get(_KEY))
    except (OSError, ssl.SSLError):
        raise TlsError("a certificate file cannot be read") from None
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.check_hostname = checks_name
    return context
