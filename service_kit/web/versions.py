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
    tags = [tag for line in request.headers.getall("If-Match", []) for tag in line.split(",") if tag.strip()]
    if not tags or "*" in (tag.strip() for tag in tags):
        raise PreconditionRequiredError(
            "PRECONDITION_REQUIRED", "Send If-Match with the ETag of what you have seen"
        )
    return frozenset(int(found[1]) for found in map(_TAG.fullmatch, tags) if found)
