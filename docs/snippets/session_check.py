# noqa: INP001 - to be pasted, not imported
"""Whose session an `ax_token` is, asked of Sallyport's admin service by an API behind the sidecar."""

import http.client
import json
from typing import Any


def session_of(identity: str, ax_token: str, service: str = "127.0.0.1:8081") -> dict[str, Any] | None:
    """`{operator, expiresAt}`, or None: `identity` is the X-Internal-Identity of the request at hand."""
    connection = http.client.HTTPConnection(service, timeout=2)
    shown = {"X-Internal-Identity": identity, "X-AX-Token": ax_token}
    try:
        connection.request("GET", "/api/access-sso/session", headers=shown)
        answer = connection.getresponse()
        document: dict[str, Any] = json.loads(answer.read())
    finally:
        connection.close()
    if answer.status == http.HTTPStatus.OK:
        return document
    if answer.status == http.HTTPStatus.UNAUTHORIZED:
        return None
    raise ConnectionError(f"{answer.status} {document.get('code')}")  # nobody can say just now: refuse
