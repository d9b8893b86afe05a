"""Parts of OpenAPI documents: the operators' paths of one, and two documents as one.

It decides about nothing but names: no schema of one document ever takes the place of another's.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final

Json = Mapping[str, Any]

_SCHEMAS: Final = "#/components/schemas/"


def operators_part(document: Json) -> dict[str, Any]:
    """The same document with nothing but the operators' paths and the schemas that these lead to."""
    paths = {path: methods for path, methods in document["paths"].items() if is_operators(path)}
    schemas: Json = document["components"]["schemas"]
    used = reachable(paths, schemas)
    kept = {name: schema for name, schema in schemas.items() if name in used}
    return {**document, "paths": paths, "components": {"schemas": kept}}


def is_operators(path: str) -> bool:
    """Whether an operator's client calls it; no path between processes, and none of the tenants' plane."""
    return path.startswith("/api/admin/") or path == "/api/access-sso"


def merged(first: Json, second: Json, *, prefix: str) -> dict[str, Any]:
    """`first`, and what only `second` has.

    A schema of the second that has a name of the first and another meaning, or that leads to such a one,
    is called `prefix.Name`: a class has no dot in its name, so nobody else is called so.
    """
    ours: Json = first["components"]["schemas"]
    theirs: Json = second["components"]["schemas"]
    names = {name: f"{prefix}.{name}" for name in theirs if name in ours and _differs(name, ours, theirs)}
    added = {names.get(name, name): _renamed(schema, names) for name, schema in theirs.items()}
    paths: dict[str, Any] = _renamed(second["paths"], names)
    for path, methods in first["paths"].items():
        paths[path] = {**paths.get(path, {}), **methods}
    schemas = {**added, **ours}
    return {
        **first,
        "paths": dict(sorted(paths.items())),
        "components": {"schemas": dict(sorted(schemas.items()))},
    }


def reachable(value: object, schemas: Json) -> frozenset[str]:
    """The names of the schemas that a part of a document leads to, directly or through others."""
    found: set[str] = set()
    waiting = list(_named_in(value))
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting += _named_in(schemas.get(name))
    return frozenset(found)


def _differs(name: str, ours: Json, theirs: Json) -> bool:
    """Two schemas are the same when all that they lead to is, too."""
    return any(ours.get(each) != theirs.get(each) for each in {name, *reachable(theirs[name], theirs)})


def _named_in(value: object) -> Iterator[str]:
    if isinstance(value, str) and value.startswith(_SCHEMAS):
        yield value.removeprefix(_SCHEMAS)
    elif isinstance(value, Mapping):
        for member in value.values():
            yield from _named_in(member)
    elif isinstance(value, list):
        for member in value:
            yield from _named_in(member)


def _renamed(value: Any, names: Mapping[str, str]) -> Any:
    if isinstance(value, str) and value.startswith(_SCHEMAS):
        name = value.removeprefix(_SCHEMAS)
        return _SCHEMAS + names.get(name, name)
    if isinstance(value, Mapping):
        return {name: _renamed(member, names) for name, member in value.items()}
    return [_renamed(member, names) for member in value] if isinstance(value, list) else value
