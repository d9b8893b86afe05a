"""What the decision log and the audit log are told of a refusal: the broken rule, and whom it hit."""

from collections.abc import Callable

import pytest

from auth_proxy.pipeline.admit import AdmitPolicy, admit
from auth_proxy.pipeline.identify import identify
from auth_proxy.pipeline.screen import ScreenPolicy, screen
from auth_proxy.refusals import Reason, Refusal
from tests.unit.auth_proxy.pipeline.hostile import HOST
from tests.unit.auth_proxy.pipeline.values import POLICY, Header, inbound, raw, screened, verified

COOKIES = ScreenPolicy(allow_cookie=True)
SLASHES = AdmitPolicy(hosts=frozenset({HOST}), encoded_slashes=True)


def sent(target: str = "/", *headers: Header, version: tuple[int, int] = (1, 1)) -> Callable[[], object]:
    return lambda: admit(raw(target, *headers, version=version), POLICY)


def seen(*headers: Header, policy: ScreenPolicy = COOKIES) -> Callable[[], object]:
    return lambda: screen(inbound("/", *headers), policy)


ADMIT: dict[str, tuple[Callable[[], object], str]] = {
    "two hosts": (sent("/", ("Host", HOST)), "more than one Host header"),
    "no UTF-8": (sent("/", ("A", b"\xff")), "a value is not UTF-8"),
    "HTTP/2": (sent(version=(2, 0)), "version"),
    "absolute form": (sent("http://evil.example/"), "absolute form names another host"),
    "letters": (sent("/m;x"), "characters"),
    "query": (sent("/m?\n"), "characters"),
    "dots": (sent("/a/../b"), "segments"),
    "slash": (sent("/a%2Fb"), "escape of a delimiter"),
    "backslash": (sent("/a%5Cb"), "escape of a delimiter"),
    "overlong": (sent("/%C0%AE"), "escapes that are not UTF-8"),
    "half an escape": (sent("/%4"), "broken escape"),
    "half an escape in the query": (sent("/?%4"), "broken escape in the query"),
    "coding": (sent("/", ("Transfer-Encoding", "gzip")), "transfer coding"),
    "length": (sent("/", ("Content-Length", "+5")), "content length"),
    "expectation": (sent("/", ("Expect", "x")), "expectation"),
}
SCREEN: dict[str, tuple[Callable[[], object], str]] = {
    "e-mail": (
        seen(("Cf_Access_Authenticated_User_Email", "a@b.example")),
        "the e-mail header in two copies or an alias spelling",
    ),
    "origins": (seen(("Origin", "a"), ("Origin", "a")), "a header that may come once came twice"),
    "cookies": (seen(("Cookie", "CF_Authorization=a; CF_Authorization=a")), "the Access cookie came twice"),
}


@pytest.mark.parametrize(
    "refused, detail",
    [*ADMIT.values(), *SCREEN.values()],
    ids=[*ADMIT, *SCREEN],
)
def test_a_refusal_names_the_rule_and_quotes_nothing(refused: Callable[[], object], detail: str) -> None:
    """The text is fixed, so no byte of a request can get into a log line through it."""
    with pytest.raises(Refusal) as caught:
        refused()

    assert caught.value.detail == detail


def test_a_contradicted_person_is_named_in_the_audit_log() -> None:
    """R-171: the proven subject and address; the one that was claimed is not repeated."""
    contradicted = verified("/", ("Cf-Access-Authenticated-User-Email", "eve@example.com"))
    with pytest.raises(Refusal) as caught:
        identify(contradicted, accepted_types=frozenset({"app"}))

    assert (caught.value.sub, caught.value.email) == ("sub-ada", "ada@example.com")
    assert "eve" not in caught.value.detail


def test_the_request_keeps_its_id() -> None:
    """The id that the listener gave joins the lines of all services; no step may lose it."""
    admitted = admit(raw()._replace(request_id="req-1"), POLICY)

    assert screen(admitted, ScreenPolicy()).inbound.request_id == "req-1"


@pytest.mark.parametrize("target", ["/a%2F..", "/a%2Fb%2"])
def test_an_allowed_slash_allows_nothing_else(target: str) -> None:
    """Architecture 6: on a table with encoded slashes every other rule is as it was."""
    with pytest.raises(Refusal) as caught:
        admit(raw(target), SLASHES)

    assert caught.value.reason is Reason.PATH_AMBIGUOUS


def test_nothing_is_told_of_a_credential_that_came_twice() -> None:
    """A token has no place in a log line, not even as a hint of its length."""
    with pytest.raises(Refusal) as caught:
        screened("/", ("Cf-Access-Jwt-Assertion", "secret"), ("Cf-Access-Jwt-Assertion", "secret"))

    assert (caught.value.reason, caught.value.detail) == (Reason.CREDENTIAL_DUPLICATED, "")
