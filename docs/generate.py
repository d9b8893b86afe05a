# noqa: INP001 - a script beside the texts that it writes, not a package
"""Writes what the code already knows: settings, refusals, permissions, the vectors of the identity.

It describes nothing by itself: what is not in the code or in `setting-texts.toml` stops it. With
`--check` it writes nothing and fails when a file differs from what the code says.
"""

import argparse
import sys
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pydantic import SecretStr
from pydantic.fields import FieldInfo

from admin_service.settings import AdminSettings
from auth_proxy.refusal_answers import Answer
from auth_proxy.refusals import ANSWERS, Reason
from auth_proxy.routes import BUILT_IN, Requirement, Route
from auth_proxy.settings import ProxySettings
from docs import api_reference, identity_vectors, metric_texts
from service_kit.identity.model import OPERATOR_PERMISSIONS, Permission, Role
from service_kit.settings import ServiceSettings, variables
from tenant_service.settings import TenantSettings

DOCS: Final = Path(__file__).resolve().parent
TEXTS: Final = DOCS / "setting-texts.toml"
NOTES: Final = Path(api_reference.__file__).with_name("refusal-notes.toml")
NOTICE: Final = "<!-- Written by docs/generate.py from the code. Do not edit. -->"

_SETTINGS_INTRO: Final = """\
# Settings

Every setting is an environment variable, read once at start. An empty variable is an unset one. A wrong
configuration is reported by variable name, every wrong value at once, and the process exits with
status 2; a value is never repeated in an error.

`auth-proxy check` validates the sidecar's configuration and prints the one in effect."""

_REFUSALS_INTRO: Final = """\
# Refusals

Why the sidecar refuses a request, in the order of the checks. The *reason* stands in the decision line
of the log and in the label of `auth_proxy_decisions_total`. The client sees the status, `code` and
`error`, which are coarser on purpose. A client that leaves before anything is decided was neither granted
nor refused: the outcome `abandoned`.

A program gets `application/problem+json` with `type`, `title`, `status`, `error`, `code`, `requestId` and
`fix`. A browser gets a page that says the same; on its way to a page, `enrollment_required` and
`subject_changed` lead to `/enrollment`. Two answers are bare text."""

_NOTES_INTRO: Final = """\
## For who runs it

One refusal is somebody's; many are a sign. Take the request id from the page to the sidecar's log, where
`reason` stands; then `auth-proxy doctor`, or `auth-proxy explain` for one request
([commands](commands.md)). The [FAQ](faq.md) has what lies behind the common ones."""

_PERMISSIONS_INTRO: Final = """\
# Permissions

What each role may do. The table is `OPERATOR_PERMISSIONS` in `service_kit/identity/model.py`, the one
source for the sidecar, the services and the panel (R-081)."""

_ROUTES_INTRO: Final = """\
## Routes

What the sidecar asks for before it forwards to a service. `operator` is any active operator, and each
page or endpoint asks for more; `identity` is any person whom Access proved. The most specific pattern
decides; `*` stands for one segment, and a pattern covers what is below it. The service asks for its own
permission again. A route stands here also where the service behind it does not answer yet."""

Texts = Mapping[str, Mapping[str, str]]


class UndocumentedError(Exception):
    """A setting without a text, or a text without a setting."""


@dataclass(frozen=True, slots=True)
class Service:
    """A process and the class that reads its settings."""

    name: str
    command: str
    settings: type[ServiceSettings]


SERVICES: Final = (
    Service("auth_proxy", "auth-proxy", ProxySettings),
    Service("admin_service", "admin-service", AdminSettings),
    Service("tenant_service", "tenant-service", TenantSettings),
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the files; with `--check` only compare. The exit status is 1 when one is out of date."""
    parser = argparse.ArgumentParser(prog="docs/generate.py", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--check", action="store_true", help="write nothing; fail when a file is out of date")
    only_check = parser.parse_args(arguments).check
    stale = [name for name, text in documents().items() if _differs(DOCS / name, text)]
    for name in stale:
        if not only_check:
            (DOCS / name).write_text(documents()[name], encoding="utf-8")
        sys.stdout.write(
            f"docs/{name}: {'out of date; run python docs/generate.py' if only_check else 'written'}\n"
        )
    return 1 if stale and only_check else 0


def documents() -> dict[str, str]:
    """Every generated file and what it should contain. Raises UndocumentedError."""
    return {
        "settings.md": settings_document(setting_texts()),
        "refusals.md": refusals_document(),
        "permissions.md": permissions_document(),
        "metrics.md": _document(metric_texts.parts(table)),
        "api.md": api_reference.page(NOTICE),
        "identity-vectors.json": identity_vectors.document(),
    }


def setting_texts() -> dict[str, dict[str, str]]:
    """What `setting-texts.toml` says, by service and variable."""
    return tomllib.loads(TEXTS.read_text(encoding="utf-8"))


def _differs(path: Path, text: str) -> bool:
    return not path.exists() or path.read_text(encoding="utf-8") != text


# Settings


def settings_document(texts: Texts) -> str:
    """Every variable of every process. Raises UndocumentedError."""
    parts = [_SETTINGS_INTRO]
    for service in SERVICES:
        rows = [_setting_row(service, field, texts) for field in service.settings.model_fields]
        parts += [f"## `{service.command}`", table(("variable", "default", "meaning"), rows)]
    _refuse_superfluous(texts)
    return _document(parts)


def _setting_row(service: Service, field: str, texts: Texts) -> tuple[str, str, str]:
    info = service.settings.model_fields[field]
    name, *aliases = variables(service.settings)[field]
    also = "".join(f"<br>or `{alias}`" for alias in aliases)
    return f"`{name}`{also}", _default(info), _meaning(service, name, info, texts)


def _meaning(service: Service, variable: str, info: FieldInfo, texts: Texts) -> str:
    meaning = info.description or texts.get(service.name, {}).get(variable)
    if not meaning:
        raise UndocumentedError(f"{service.name}: {variable} has no text in setting-texts.toml")
    return meaning


def _refuse_superfluous(texts: Texts) -> None:
    for service in SERVICES:
        fields = service.settings.model_fields
        wanting = {
            names[0] for field, names in variables(service.settings).items() if not fields[field].description
        }
        if superfluous := sorted(set(texts.get(service.name, {})) - wanting):
            raise UndocumentedError(f"{service.name}: no setting needs the text of {', '.join(superfluous)}")


def _default(info: FieldInfo) -> str:
    """The default as a person would write it into the environment."""
    if info.is_required():
        return "**required**"
    value = info.default
    if isinstance(value, bool):
        return "`true`" if value else "`false`"
    if isinstance(value, SecretStr):
        value = value.get_secret_value()  # a default is no secret
    if isinstance(value, tuple):
        value = ",".join(map(str, value))
    return "unset" if value in (None, "") else f"`{value}`"


# Refusals


def refusals_document() -> str:
    """Every reason of the sidecar, in the order of its steps."""
    rows = [_refusal_row(reason, ANSWERS[reason]) for reason in Reason]
    reasons = table(("reason", "answer", "`error`", "why", "way out"), rows)
    notes = table(("a rise means", "reasons", "where to look"), refusal_notes(NOTES.read_text("utf-8")))
    return _document([_REFUSALS_INTRO, reasons, _NOTES_INTRO, notes])


def refusal_notes(text: str) -> list[tuple[str, ...]]:
    """What each reason means to who runs the sidecar. Raises UndocumentedError unless each is told once."""
    notes = tomllib.loads(text)["notes"]
    told = [reason for note in notes for reason in note["reasons"]]
    if sorted(told) != sorted(reason.value for reason in Reason):
        raise UndocumentedError(
            f"refusal-notes.toml: {', '.join(_odd(told, [each.value for each in Reason]))}"
        )
    return [
        (note["means"], ", ".join(f"`{each}`" for each in note["reasons"]), note["look"]) for note in notes
    ]


def _odd(told: Sequence[str], wanted: Sequence[str]) -> list[str]:
    return sorted({*told, *wanted} - {each for each in wanted if told.count(each) == 1})


def _refusal_row(reason: Reason, answer: Answer) -> tuple[str, ...]:
    shape = " (bare text)" if answer.plain else ""
    again = f"<br>`Retry-After: {answer.retry_after}`" if answer.retry_after is not None else ""
    code = f"{answer.status} `{answer.code}`{again}"
    return f"`{reason.value}`", code, f"{answer.error}{shape}", answer.why, answer.fix


# Permissions


def permissions_document() -> str:
    """The permission matrix, and what the sidecar asks for on each of its routes (R-081)."""
    roles = tuple(Role)
    matrix = [
        (f"`{permission}`", *("yes" if permission in OPERATOR_PERMISSIONS[role] else "–" for role in roles))
        for permission in Permission
    ]
    routes = [_route_row(route) for route in sorted_routes(BUILT_IN)]
    return _document(
        [
            _PERMISSIONS_INTRO,
            table(("permission", *(f"`{role}`" for role in roles)), matrix),
            _ROUTES_INTRO,
            table(("path", "methods", "asks for", "goes to"), routes),
        ]
    )


def sorted_routes(routes: Iterable[Route]) -> list[Route]:
    """By path, so that a reader finds one."""
    return sorted(routes, key=lambda route: (route.pattern, sorted(route.methods)))


def _route_row(route: Route) -> tuple[str, ...]:
    wanted = route.needs
    methods = ", ".join(sorted(route.methods - {"HEAD"}))
    asks = wanted if isinstance(route.requirement, Requirement) else f"`{wanted}`"
    return f"`{route.pattern}`", methods, asks, f"`{route.target}`"


# Markdown


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(cell.replace('|', '&#124;') for cell in line)} |" for line in lines)


def _document(parts: Iterable[str]) -> str:
    return "\n\n".join([NOTICE, *parts]) + "\n"


if __name__ == "__main__":
    sys.exit(main())
