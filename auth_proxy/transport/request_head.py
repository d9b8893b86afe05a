"""The head of the request that an upstream gets: what the screen let pass, then what only we may say.

Written with one template per sequence of names, which is remembered; the values are filled in at once
(5 → 2 µs for twelve headers).
"""

from functools import lru_cache

from auth_proxy.pipeline.exchange import SignedGrant


def request_head(signed: SignedGrant, request_id: str) -> bytes:
    """The exact bytes up to the body.

    A header of ours takes the place of every copy of its name, whatever the screen let pass.
    """
    grant = signed.grant
    screened = grant.person.screened
    inbound = screened.inbound
    sent = screened.forwardable
    ours = (*screened.forwarding, ("X-Request-Id", request_id), *signed.identity_headers)
    names = tuple([name for name, _ in sent])
    our_names = tuple([name for name, _ in ours])
    remembered = _habit if inbound.shape.is_habit else _template
    template, places = remembered(names, our_names)
    values = [sent[place][1] for place in places]
    values += [value for _, value in ours]
    framing = "Transfer-Encoding: chunked\r\n" if inbound.has_body and inbound.content_length is None else ""
    lines = template % tuple(values)
    return f"{inbound.method} {grant.forwarded_target} HTTP/1.1\r\n{lines}{framing}\r\n".encode()


def _template(names: tuple[str, ...], our_names: tuple[str, ...]) -> tuple[str, tuple[int, ...]]:
    """The lines with a gap for each value, and the places of the values that were sent."""
    taken = {name.lower() for name in our_names}
    places = tuple(place for place, name in enumerate(names) if name.lower() not in taken)
    written = (*(names[place] for place in places), *our_names)
    return "".join(f"{name.replace('%', '%%')}: %s\r\n" for name in written), places


_habit = lru_cache(maxsize=1024)(_template)
