"""The lists of hostile paths and headers, spelled out for our host and routes."""

import json
from pathlib import Path

HOST = "admin.example.com"
ALLOWED = "/api/admin/tenants"
"""What support may ask for."""
FORBIDDEN = "api/admin/global-admins"
"""What support may not ask for, without its first slash."""

_HERE = Path(__file__).parent


def _spellings() -> dict[str, str]:
    every = "".join(f"%{ord(character):02x}" for character in FORBIDDEN)
    return {
        "P": ALLOWED,
        "A": ALLOWED.removeprefix("/"),
        "P8k": "x" * 8192,
        "HOST": HOST,
        "Drel": FORBIDDEN,
        "D_upper": FORBIDDEN.upper(),
        "D_mixed": FORBIDDEN.title(),
        "D_pct1": f"%{ord(FORBIDDEN[0]):02x}{FORBIDDEN[1:]}",
        "D_pctall": every,
        "D_pct_upper_hex": every.upper(),
        "D_double_pct": every.replace("%", "%25"),
        "D_slash_as_%2f": FORBIDDEN.replace("/", "%2f"),
        "D_slash_as_%252f": FORBIDDEN.replace("/", "%252f"),
        "D_slash_as_%5c": FORBIDDEN.replace("/", "%5c"),
        "D_slash_as_\\\\": FORBIDDEN.replace("/", "\\"),
        "D_slash_as_\\": FORBIDDEN.replace("/", "\\"),
        "D_slash_doubled": FORBIDDEN.replace("/", "//"),
        "D_trailing_dot": f"{FORBIDDEN}.",
        "D_fullwidth": "".join(chr(ord(c) + 0xFEE0) if c.isalpha() else c for c in FORBIDDEN),
        "D_overlong_utf8": FORBIDDEN.replace("/", "%c0%af"),
    }


def spelled(value: object) -> str:
    """An id for a parametrised test: the value without a backslash (docs/mutation-testing.md)."""
    return ascii(value).replace("\\", "^")


def hostile_targets() -> list[str]:
    """Every payload as a request target."""
    targets = []
    for payload in json.loads((_HERE / "path_bypass.json").read_text()):
        target = payload
        for name, text in _spellings().items():
            target = target.replace(f"{{{name}}}", text)
        targets.append(target)
    return targets


def spoof_names() -> list[bytes]:
    """Every header name of the list, those beyond ASCII in both encodings."""
    names = _headers()["spoof_names"]
    latin = [name.encode("latin-1") for name in names if not name.isascii() and max(name) <= "\xff"]
    return [name.encode() for name in names] + latin


def spoof_copies() -> list[int]:
    return [int(copies) for copies in _headers()["spoof_copies"]]


def hop_by_hop_lines() -> list[str]:
    """Header lines, some of them two, that try to take a header away."""
    return _headers()["hop_by_hop"]


def override_lines() -> list[str]:
    """Header lines that claim another method, address or path."""
    return _headers()["overrides"]


def _headers() -> dict[str, list[str]]:
    lists: dict[str, list[str]] = json.loads((_HERE / "header_attacks.json").read_text())
    return lists
