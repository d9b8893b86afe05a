"""The form of a yes and of a no, for each proxy."""

import json

import pytest

from auth_proxy.forward_auth.answers import refused, told_again
from auth_proxy.forward_auth.dialects import CADDY, ENVOY, NGINX, TRAEFIK, Dialect
from auth_proxy.refusal_rendering import Reader
from auth_proxy.refusals import ANSWERS, Reason, Refusal


@pytest.mark.parametrize("reason", list(Reason))
def test_nginx_is_told_403_and_the_reason(reason: Reason) -> None:
    """R-051: nginx turns any other status into 500; the reason is in a header that no client sees."""
    answer = refused(Refusal(reason), NGINX, "req_1", Reader(), method="GET")

    assert (answer.status, answer.body) == (403, None)
    assert answer.headers["X-Auth-Refusal"] == reason.value
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["X-Request-Id"] == "req_1"
    assert told_again(answer.headers["X-Auth-Refusal"]).reason is reason


@pytest.mark.parametrize("dialect", [TRAEFIK, CADDY, ENVOY], ids=lambda dialect: str(dialect.name))
@pytest.mark.parametrize("reason", list(Reason))
def test_the_others_are_given_the_refusal_itself(dialect: Dialect, reason: Reason) -> None:
    """R-051: what the client shall see, with its own status; never one that means yes."""
    answer = refused(Refusal(reason), dialect, "req_1", Reader(), method="GET")

    assert answer.status == ANSWERS[reason].status
    assert answer.status >= 400
    assert "X-Auth-Refusal" not in answer.headers


def test_a_person_who_navigates_is_sent_to_enrollment() -> None:
    """R-165: a redirect is no yes to any of these proxies, and it reaches the browser."""
    reader = Reader(wants_page=True, navigates=True)
    answer = refused(Refusal(Reason.ENROLLMENT_REQUIRED), CADDY, "req_1", reader, method="GET")

    assert (answer.status, answer.headers["Location"]) == (303, "/enrollment")


def test_the_methods_of_a_405_come_back() -> None:
    """RFC 9110: a 405 names what would be allowed, also by way of nginx."""
    refusal = Refusal(Reason.METHOD_NOT_ALLOWED, headers={"Allow": "GET, HEAD"})
    words = refused(refusal, NGINX, "req_1", Reader(), method="PUT").headers["X-Auth-Refusal"]

    assert told_again(words).headers == {"Allow": "GET, HEAD"}
    assert told_again("method_not_allowed GET, <script>").headers == {"Allow": "GET"}


@pytest.mark.parametrize("words", ["", "granted", "PERMISSION_DENIED", "ok", "internal_error\r\nX: y"])
def test_a_refusal_that_nobody_gave_is_a_refusal(words: str) -> None:
    """There are no words that make a yes."""
    refusal = told_again(words)

    assert refusal.reason is Reason.INTERNAL_ERROR
    assert json.dumps(refusal.detail) == '"a refusal that nobody gave"'
