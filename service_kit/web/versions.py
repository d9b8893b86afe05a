"""Versions of a row over HTTP: the ETag that tells one, and the If-Match that asks for it (http-api 3.0).

It compares nothing: whether a version still holds is decided under the row's lock.
"""

import re
from typing import Final

from aiohttp import web

from service_kit.errors import PreconditionRequiredError

_TAG: Final = re.compile(r'\s*(?:W/)?"(\d{1,18})"\s*')
"""A proxy that compresses an answer makes its tag a weak one; the version in it is the same."""


def etag(version: int) -> dict[str, str]:
    return {"ETag": f'"{version}"'}


def expected_versions(request: web.Request) -> frozenset[int]:
    """The versions that the caller has seen.

    Raises PreconditionRequiredError without an If-Match, and for `*`, which names none. A tag that is
    none of ours matches nothing.
    """
    tags = _tags(request)
    if not tags or "*" in tags:
        raise PreconditionRequiredError(
            "PRECONDITION_REQUIRED", "Send If-Match with the ETag of what you have seen"
        )
    return _versions(tags)


def versions_if_given(request: web.Request) -> frozenset[int] | None:
    """The same where the header may be absent. None without it, and for `*`: whatever the version is."""
    tags = _tags(request)
    return None if "If-Match" not in request.headers or "*" in tags else _versions(tags)


def _tags(request: web.Request) -> list[str]:
    lines = request.headers.getall("If-Match", [])
    return [tag.strip() for line in lines for tag in line.split(",") if tag.strip()]


def _versions(tags: list[str]) -> frozenset[int]:
    return frozenset(int(found[1]) for found in map(_TAG.fullmatch, tags) if found)
