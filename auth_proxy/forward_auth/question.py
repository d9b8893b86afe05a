"""What a proxy asks about: the request as its client sent it, out of the proxy's own words.

Nothing is guessed. A word that is missing, comes twice or in an alias spelling is refused: the second
one would be the client's (GHSA-7x63-xv5r-3p2x, CVE-2026-39858). Bodies are never read.
"""

from auth_proxy.forward_auth.dialects import UPGRADE, Dialect
from auth_proxy.header_names import letters
from auth_proxy.pipeline.exchange import RawRequest
from auth_proxy.refusals import Reason, Refusal

_Headers = tuple[tuple[bytes, bytes], ...]
_OF_THE_QUESTION = frozenset(
    {b"host", b"connection", b"keep-alive", b"upgrade", b"content-length", b"transfer-encoding"}
)
"""What says something of the question itself, and nothing of the request that it is about."""
_HANDSHAKE = "secwebsocketkey"


def original_request(question: RawRequest, dialect: Dialect) -> RawRequest:
    """The request that the question is about. Raises Refusal."""
    words = _words(question.headers, dialect)
    upgrade = _upgrade(question.headers, words)
    about = tuple(
        (name, value)
        for name, value in question.headers
        if name.lower() not in _OF_THE_QUESTION and name.lower().decode("latin-1") not in dialect.own_headers
    )
    asked = ((b"Connection", b"Upgrade"), (b"Upgrade", upgrade)) if upgrade else ()
    return RawRequest(
        method=_word(words, dialect.method) if dialect.method else question.method,
        target=_target(question, dialect, words),
        version=(1, 1),
        headers=((b"Host", words.get(dialect.host, b"")), *about, *asked),
        peer=question.peer,
        request_id=question.request_id,
    )


def _words(headers: _Headers, dialect: Dialect) -> dict[str, bytes]:
    """The headers in which the proxy speaks, by their exact names."""
    folded = {letters(name) for name in dialect.own_headers}
    words: dict[str, bytes] = {}
    for name, value in headers:
        text = name.decode("latin-1")
        if letters(text) not in folded:
            continue
        if text.lower() not in dialect.own_headers or text.lower() in words:
            raise Refusal(Reason.PROXY_WORDS_AMBIGUOUS, "a word came twice, or in an alias spelling")
        words[text.lower()] = value
    return words


def _word(words: dict[str, bytes], name: str) -> str:
    if not words.get(name):
        raise Refusal(Reason.PROXY_WORDS_AMBIGUOUS, f"{name} is missing")
    return words[name].decode("latin-1")  # what is not ASCII is refused by admit


def _target(question: RawRequest, dialect: Dialect, words: dict[str, bytes]) -> str:
    target = _word(words, dialect.target) if dialect.target else question.target.removeprefix(dialect.path)
    # An absolute form would be another spelling of the same: no proxy asks in it.
    if not target.startswith("/"):
        raise Refusal(Reason.TARGET_NOT_CANONICAL, "no path")
    return target


def _upgrade(headers: _Headers, words: dict[str, bytes]) -> bytes:
    """The protocol that the client asks for; empty for none."""
    sent = [value for name, value in headers if name.lower() == b"upgrade"]
    asked = {value.lower() for value in (words.get(UPGRADE, b""), *sent)} - {b""}
    if len(asked) > 1:
        raise Refusal(Reason.PROXY_WORDS_AMBIGUOUS, "two protocols")
    if not asked and any(letters(name.decode("latin-1")) == _HANDSHAKE for name, _ in headers):
        # Decided as a plain GET it would pass without its Origin: a websocket for every page of the web.
        raise Refusal(Reason.PROXY_WORDS_AMBIGUOUS, "a websocket handshake that the proxy does not tell of")
    return asked.pop() if asked else b""
