"""A refusal as JSON, as a page and as bare text: valid, without script, without a word of the request."""

import base64
import hashlib
import json
import re

import html5lib
import pytest
from aiohttp import web

from auth_proxy.refusal_rendering import Reader, prefers_page, render
from auth_proxy.refusals import ANSWERS, Reason, Refusal

TO_ENROLLMENT = {Reason.ENROLLMENT_REQUIRED, Reason.SUBJECT_CHANGED}
PLAIN = {Reason.HOST_UNKNOWN, Reason.MISCONFIGURED}


def rendered(reason: Reason, *, page: bool, method: str = "GET") -> web.Response:
    return render(
        Refusal(reason, "secret detail"), "req_1", Reader(wants_page=page, navigates=page), method=method
    )


def text_of(response: web.Response) -> str:
    body = response.body
    assert isinstance(body, bytes)
    return body.decode()


@pytest.mark.parametrize("reason", sorted(set(Reason) - PLAIN))
def test_a_program_gets_a_problem_document(reason: Reason) -> None:
    """R-046, C-13: the seed's `error`, our `code`, the way out, and the detail stays in the log."""
    response = rendered(reason, page=False)
    answer = ANSWERS[reason]
    text = text_of(response)

    assert json.loads(text) == {
        "type": f"urn:problem:{answer.code.lower().replace('_', '-')}",
        "title": answer.error,
        "status": answer.status,
        "error": answer.error,
        "code": answer.code,
        "requestId": "req_1",
        "fix": answer.fix,
    }
    assert response.content_type == "application/problem+json"
    assert "secret detail" not in text
    assert "Location" not in response.headers


@pytest.mark.parametrize("reason", sorted(set(Reason) - PLAIN - TO_ENROLLMENT))
def test_a_person_gets_a_valid_page_without_a_script(reason: Reason) -> None:
    """Strictly parsed HTML; only our one style may run, and nobody may frame it."""
    response = rendered(reason, page=True)
    text = text_of(response)
    (style,) = re.findall(r"<style>(.+?)</style>", text, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()

    html5lib.HTMLParser(strict=True).parse(text)
    assert response.status == ANSWERS[reason].status
    assert response.headers["Content-Security-Policy"] == (
        f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; frame-ancestors 'none'"
    )
    assert response.headers["X-Frame-Options"] == "DENY"
    assert response.headers["Referrer-Policy"] == "same-origin"
    assert not re.search(r"<script|javascript:| on\w+=|style=", text)
    assert "req_1" in text
    assert "secret detail" not in text
    assert '<a href="/cdn-cgi/access/logout">' in text


@pytest.mark.parametrize("reason", sorted(TO_ENROLLMENT))
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_a_persons_browser_is_sent_to_enroll(reason: Reason, method: str) -> None:
    """R-066: a navigation of somebody without a row ends on the enrollment page."""
    response = rendered(reason, page=True, method=method)

    assert (response.status, response.headers["Location"]) == (303, "/enrollment")


@pytest.mark.parametrize("reason", sorted(TO_ENROLLMENT))
def test_a_form_post_is_not_redirected(reason: Reason) -> None:
    """What was sent would be lost without a word: the page says why instead."""
    assert rendered(reason, page=True, method="POST").status == 403


def test_a_wrong_enrollment_token_stays_on_its_page() -> None:
    """R-066: a redirect to /enrollment from /enrollment would never end."""
    assert rendered(Reason.ENROLLMENT_FAILED, page=True).status == 403


@pytest.mark.parametrize("page", [True, False])
@pytest.mark.parametrize(
    "reason, status, text",
    [(Reason.HOST_UNKNOWN, 404, "Not Found"), (Reason.MISCONFIGURED, 500, "Misconfigured")],
)
def test_the_seeds_plain_texts_are_plain(reason: Reason, status: int, text: str, page: bool) -> None:
    """R-040, R-050: byte for byte, for people and programs alike."""
    response = rendered(reason, page=page)

    assert (response.status, text_of(response), response.content_type) == (status, text, "text/plain")


@pytest.mark.parametrize("reason", list(Reason))
def test_no_refusal_is_stored_or_sniffed(reason: Reason) -> None:
    """A page of a refusal must not come back from a cache after the person was let in."""
    for page in (True, False):
        headers = rendered(reason, page=page).headers
        assert (headers["Cache-Control"], headers["X-Content-Type-Options"]) == ("no-store", "nosniff")
        assert headers["X-Request-Id"] == "req_1"


def test_what_passes_by_itself_says_when_to_come_back() -> None:
    """Every 503 and 429 has a Retry-After; a refusal may name a better one."""
    for reason, answer in ANSWERS.items():
        waits = "Retry-After" in rendered(reason, page=False).headers
        assert waits == (answer.status in {429, 503})
    special = Refusal(Reason.ROSTER_UNAVAILABLE, headers={"Retry-After": "9"})
    assert render(special, "r", Reader(), method="GET").headers["Retry-After"] == "9"


def test_the_answers_are_a_closed_snapshot() -> None:
    """R-038, R-040, R-042, R-046, R-063, R-064: the seeds' statuses and words, by reason."""
    seeds = {
        Reason.HOST_UNKNOWN: (404, "Not Found"),
        Reason.TOKEN_MISSING: (403, "Access token required"),
        Reason.SERVICE_TOKEN: (403, "Identity token required"),
        Reason.TOKEN_TYPE: (403, "Identity token required"),
        Reason.EMAIL_MISSING: (403, "Identity token required"),
        Reason.SUB_MISSING: (403, "Identity token required"),
        Reason.ENROLLMENT_REQUIRED: (403, "Not authorized"),
        Reason.OPERATOR_DEACTIVATED: (403, "Account deactivated"),
        Reason.MISCONFIGURED: (500, "Misconfigured"),
    }
    for reason in Reason:
        answer = ANSWERS[reason]
        if reason.value.startswith("token_") and reason not in seeds:
            seeds[reason] = (403, "Invalid Access token")
        assert (answer.status, answer.error) == seeds.get(reason, (answer.status, answer.error))
    assert ANSWERS[Reason.ENROLLMENT_REQUIRED].code == "ENROLLMENT_REQUIRED"


@pytest.mark.parametrize(
    "accept, mode, requested_with, page",
    [
        ("text/html,application/xhtml+xml,*/*;q=0.8", "navigate", "", True),
        ("text/html", "NAVIGATE", "", True),
        ("text/html", "cors", "", False),
        ("text/html", "no-cors", "", False),
        ("*/*", "navigate", "", True),
        ("text/html", "navigate", "XMLHttpRequest", False),
        ("text/html", "", "", True),
        ("text/html, application/json", "", "", True),
        ("application/json, text/html", "", "", False),
        ("application/problem+json", "", "", False),
        ("*/*", "", "", False),
        ("", "", "", False),
    ],
)
def test_pages_are_for_people(accept: str, mode: str, requested_with: str, page: bool) -> None:
    """R-066: what the browser says of itself decides; a program never gets HTML it did not ask for first."""
    assert prefers_page(accept, mode, requested_with) is page


@pytest.mark.parametrize(
    "reason, can_enroll, fallback",
    [
        (Reason.ENROLLMENT_REQUIRED, True, "/enrollment"),
        (Reason.ENROLLMENT_FAILED, True, "/enrollment"),
        (Reason.SUBJECT_CHANGED, True, "/enrollment"),
        (Reason.ENROLLMENT_REQUIRED, False, "/"),
        (Reason.TOKEN_EXPIRED, True, "/"),
        (Reason.OPERATOR_DEACTIVATED, True, "/"),
        (Reason.ROSTER_UNAVAILABLE, True, "/"),
        (Reason.ENROLLMENT_LIMITED, True, "/"),
        (Reason.ORIGIN_REJECTED, True, None),
        (Reason.METHOD_NOT_ALLOWED, True, None),
        (Reason.INTERNAL_ERROR, True, None),
    ],
)
def test_a_boot_that_is_refused_names_a_way_out_where_there_is_one(
    reason: Reason, can_enroll: bool, fallback: str | None
) -> None:
    """R-165: a page that would only load and boot again is no way out."""
    reader = Reader(boots=True, can_enroll=can_enroll)
    body = render(Refusal(reason), "req_1", reader, method="POST").body

    assert isinstance(body, bytes)
    assert json.loads(body).get("fallback") == fallback
    elsewhere = render(Refusal(reason), "req_1", Reader(can_enroll=can_enroll), method="POST").body
    assert isinstance(elsewhere, bytes)
    assert "fallback" not in json.loads(elsewhere)


def test_without_a_page_to_enroll_a_browser_is_told_on_the_spot() -> None:
    """A redirect to `/enrollment` would lead to the frontend's own page, or nowhere."""
    reader = Reader(wants_page=True, navigates=True, can_enroll=False)

    assert render(Refusal(Reason.ENROLLMENT_REQUIRED), "r", reader, method="GET").status == 403
