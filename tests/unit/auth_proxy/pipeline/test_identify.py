"""Step 4: a person, whom no header contradicts."""

import pytest

from auth_proxy.pipeline.identify import identify
from auth_proxy.refusals import Reason, Refusal
from tests.unit.auth_proxy.pipeline.hostile import spelled
from tests.unit.auth_proxy.pipeline.values import verified

TYPES = frozenset({"app", "org"})
NAME = "Cf-Access-Authenticated-User-Email"


@pytest.mark.parametrize("claimed", [None, "ada@example.com", " ADA@Example.com "])
def test_an_equal_address_is_no_offence(claimed: str | None) -> None:
    """R-171: Cloudflare itself sends the header; equal in its normal form, it is merely dropped."""
    headers = [(NAME, claimed)] if claimed is not None else []
    person = identify(verified("/", *headers), accepted_types=TYPES)

    assert (person.sub, person.email, person.expires_at) == ("sub-ada", "ada@example.com", 301)
    assert NAME not in dict(person.screened.forwardable)


@pytest.mark.parametrize(
    "claimed", ["eve@example.com", "", "ada@example.com,eve@example.com", "a\u212a@x.y", "ada"], ids=spelled
)
def test_a_contradicting_address_is_refused(claimed: str) -> None:
    """R-171: also when it is empty or no address at all."""
    with pytest.raises(Refusal) as caught:
        identify(verified("/", (NAME, claimed)), accepted_types=TYPES)

    assert caught.value.reason is Reason.EMAIL_HEADER_CONTRADICTS


@pytest.mark.parametrize(
    "changes, reason",
    [
        ({"common_name": "robot.access"}, Reason.SERVICE_TOKEN),
        ({"token_type": "meta"}, Reason.TOKEN_TYPE),
        ({"token_type": None}, Reason.TOKEN_TYPE),
        ({"email": None}, Reason.EMAIL_MISSING),
        ({"email": "two@at@example.com"}, Reason.EMAIL_MALFORMED),
        ({"subject": ""}, Reason.SUB_MISSING),
        ({"subject": None}, Reason.SUB_MISSING),
    ],
)
def test_what_is_no_person_is_refused(changes: dict[str, object], reason: Reason) -> None:
    """R-038, C-03: a service token or half a person never becomes one."""
    with pytest.raises(Refusal) as caught:
        identify(verified("/", **changes), accepted_types=TYPES)

    assert caught.value.reason is reason


def test_the_seeds_literal_rule_is_a_setting() -> None:
    """C-03: with CF_ACCESS_TOKEN_TYPES=org an application token is refused."""
    with pytest.raises(Refusal) as caught:
        identify(verified("/"), accepted_types=frozenset({"org"}))

    assert caught.value.reason is Reason.TOKEN_TYPE
