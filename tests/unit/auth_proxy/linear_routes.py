"""The route table as it is read aloud: one row after another. The reference for the tree of `routes`."""

from collections.abc import Iterable

from auth_proxy.routes import Route

Place = tuple[tuple[str, ...], str | None, bool]


def find_linearly(routes: Iterable[Route], host: str, path: str, method: str) -> Route | frozenset[str]:
    """What `RouteTable.find` must give: the most specific place if it is so in every case, then the row."""
    given = tuple(routes)
    places = sorted(dict.fromkeys(map(_place, given)), key=_specificity, reverse=True)
    place = next((place for place in places if _matches(place, host, path)), None)
    careless = next((place for place in places if _matches(_lowered(place), host, path.lower())), None)
    if place is None or careless is not place:
        return frozenset()
    rows = [route for route in given if _place(route) == place]
    taken = [route for route in rows if method in route.methods]
    return taken[0] if taken else frozenset().union(*(route.methods for route in rows))


def _place(route: Route) -> Place:
    return route.segments, route.host, route.exact


def _specificity(place: Place) -> tuple[int, tuple[bool, ...], bool, bool]:
    segments, host, exact = place
    return len(segments), tuple(segment != "*" for segment in segments), host is not None, exact


def _lowered(place: Place) -> Place:
    segments, host, exact = place
    return tuple(segment.lower() for segment in segments), host, exact


def _matches(place: Place, host: str, path: str) -> bool:
    pattern, only_host, exact = place
    segments = tuple(path.strip("/").split("/")) if path != "/" else ()
    if only_host not in (None, host) or len(segments) < len(pattern):
        return False
    if exact and len(segments) != len(pattern):
        return False
    pairs = zip(pattern, segments, strict=False)
    return all(want == got or (want == "*" and got != "") for want, got in pairs)
