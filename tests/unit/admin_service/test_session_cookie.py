"""The session's cookie: which values count as presented, and what the browser is told (C-17)."""

import pytest
from aiohttp.test_utils import make_mocked_request
from multidict import CIMultiDict

from admin_service.sessions.cookie import AX_TOKEN, SessionCookie
from admin_service.sessions.tokens import new_session_token, session_digest


@pytest.mark.parametrize(
    ("lines", "values"),
    [
        ((), ()),
        (("ax_token=a",), ("a",)),
        (("x=1; ax_token=a; y=2",), ("a",)),
        (("ax_token=a;ax_token=b",), ("a", "b")),
        (("ax_token=a", "ax_token=b"), ("a", "b")),
        (("ax_token=a=b",), ("a=b",)),
        (("ax_token=",), ()),
        (("ax_token",), ()),
        (("AX_TOKEN=a",), ()),
        (("__Host-ax_token=a",), ()),
        (("my_ax_token=a; ax_token2=b",), ()),
        (("; ".join(f"ax_token={number}" for number in range(9)),), tuple("01234567")),
        ((";;; =; =a; ax_token=b",), ("b",)),
    ],
)
def test_every_value_under_the_exact_name_is_presented(
    lines: tuple[str, ...], values: tuple[str, ...]
) -> None:
    """R-163: the name is compared exactly; several values are all seen, eight at most."""
    headers = CIMultiDict([("Cookie", line) for line in lines])
    request = make_mocked_request("POST", "/", headers=headers)

    assert AX_TOKEN.values(request) == values


@pytest.mark.parametrize("name", ["ax_token", "__Host-ax_token"])
def test_the_attributes_are_those_of_the_contract(name: str) -> None:
    """R-163, C-17: Secure, HttpOnly, Lax, host-only, eight hours; clearing differs in value and age only."""
    cookie = SessionCookie(name)

    assert cookie.carrying("t") == {
        "Set-Cookie": f"{name}=t; Max-Age=28800; Path=/; Secure; HttpOnly; SameSite=Lax"
    }
    assert cookie.cleared() == {"Set-Cookie": f"{name}=; Max-Age=0; Path=/; Secure; HttpOnly; SameSite=Lax"}


def test_tokens_are_random_and_safe_in_a_cookie() -> None:
    """256 random bits in characters that a cookie takes as they are; any text has a digest."""
    tokens = {new_session_token() for _ in range(100)}

    assert len(tokens) == 100
    assert all(len(token) == 47 and token.replace("-", "_").isidentifier() for token in tokens)
    assert len(session_digest("\udcff" * 3)) == 64
