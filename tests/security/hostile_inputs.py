"""The attack lists of `corpora/`, spelled out for our host, routes and header names."""

import json
import posixpath
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from tests.fixtures.sidecar import HOST

_CORPORA = Path(__file__).parent / "corpora"


def corpus(name: str) -> dict[str, Any]:
    """A list as it was handed over."""
    document: dict[str, Any] = json.loads((_CORPORA / f"{name}.json").read_text(encoding="utf-8"))
    return document


def hostile_targets(allowed: str, forbidden: str) -> list[str]:
    """Every payload of path_bypass.json; `allowed` begins with a slash, `forbidden` does not."""
    spellings = _spellings(allowed, forbidden)
    targets = []
    for payload in corpus("path_bypass")["payloads"]:
        target = payload
        for name, text in spellings.items():
            target = target.replace(f"{{{name}}}", text)
        targets.append(target)
    return targets


def _spellings(allowed: str, forbidden: str) -> dict[str, str]:
    every = "".join(f"%{ord(character):02x}" for character in forbidden)
    return {
        "P": allowed,
        "A": allowed.removeprefix("/"),
        "P8k": "x" * 8192,
        "HOST": HOST,
        "Drel": forbidden,
        "D_upper": forbidden.upper(),
        "D_mixed": forbidden.title(),
        "D_pct1": f"%{ord(forbidden[0]):02x}{forbidden[1:]}",
        "D_pctall": every,
        "D_pct_upper_hex": every.upper(),
        "D_double_pct": every.replace("%", "%25"),
        "D_slash_as_%2f": forbidden.replace("/", "%2f"),
        "D_slash_as_%252f": forbidden.replace("/", "%252f"),
        "D_slash_as_%5c": forbidden.replace("/", "%5c"),
        "D_slash_as_\\\\": forbidden.replace("/", "\\"),
        "D_slash_as_\\": forbidden.replace("/", "\\"),
        "D_slash_doubled": forbidden.replace("/", "//"),
        "D_trailing_dot": f"{forbidden}.",
        "D_fullwidth": "".join(chr(ord(c) + 0xFEE0) if c.isalpha() else c for c in forbidden),
        "D_overlong_utf8": forbidden.replace("/", "%c0%af"),
    }


def meaning(target: str, *, fold: bool = True) -> str:
    """The path as a careless server could understand it: decoded twice, backslashes turned, dots resolved.

    `fold`: by a server to whom `/MANAGE` is `/manage`.
    """
    path = unquote(unquote(target.partition("?")[0].partition("#")[0])).replace("\\", "/")
    path = "/".join(segment.partition(";")[0] for segment in path.split("/"))
    normal = posixpath.normpath("/" + path.lstrip("/"))
    return normal.lower() if fold else normal


def leads_to(target: str, forbidden: str, *, fold: bool = True) -> bool:
    """Whether a careless server could run the handler of the forbidden path, or of one below it."""
    wanted = forbidden.lower() if fold else forbidden
    return f"{meaning(target, fold=fold)}/".startswith(f"/{wanted}/")


def spoof_names() -> list[bytes]:
    """Every name of the list, without the remarks in it; those beyond ASCII in both encodings."""
    names = [
        name.replace(" (second copy)", "").replace(" (utf-8)", "").replace(" (latin-1)", "")
        for name in corpus("header_attacks")["spoof_names"]
    ]
    latin = [name.encode("latin-1") for name in names if not name.isascii() and max(name) <= "\xff"]
    return [name.encode() for name in names] + latin


def header_lines(section: str) -> list[str]:
    """The entries of a section that are header lines, without their remarks."""
    return [
        entry.partition(" (")[0]
        .replace("\\r\\n", "\r\n")
        .replace("/admin/operators", "/api/admin/global-admins")
        for entry in corpus("header_attacks")[section]
        if ": " in entry or ":\t" in entry
    ]
