"""The head of the request that an upstream gets: what the screen let pass, then what only we may say."""

from auth_proxy.pipeline.exchange import SignedGrant


def request_head(signed: SignedGrant, request_id: str) -> bytes:
    """The exact bytes up to the body.

    A header of ours takes the place of every copy of its name, whatever the screen let pass.
    """
    grant = signed.grant
    screened = grant.person.screened
    inbound = screened.inbound
    ours = (*screened.forwarding, ("X-Request-Id", request_id), *signed.identity_headers)
    taken = {name.lower() for name, _ in ours}
    lines = [f"{inbound.method} {grant.forwarded_target} HTTP/1.1"]
    lines += [f"{name}: {value}" for name, value in screened.forwardable if name.lower() not in taken]
    lines += [f"{name}: {value}" for name, value in ours]
    if inbound.has_body and inbound.content_length is None:
        lines.append("Transfer-Encoding: chunked")
    return "\r\n".join([*lines, "\r\n"]).encode()
