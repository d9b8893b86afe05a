"""The open roster: one role for every verified person, and nothing to enroll in."""

import pytest

from auth_proxy.refusals import Reason, Refusal
from auth_proxy.roster.open import NoActivity, NoEnrollment, OpenRoster
from service_kit.identity.model import Role


def test_everybody_whom_access_lets_in_has_the_one_role() -> None:
    """R-007, C-01: seed 1's rule, for other frontends."""
    entry = OpenRoster(Role.READ_ONLY).find("sub-1", "ada@example.com")

    assert (entry.id, entry.sub, entry.role, entry.active) == ("sub-1", "sub-1", Role.READ_ONLY, True)
    assert not OpenRoster(Role.READ_ONLY).binds_email("ada@example.com")
    assert OpenRoster(Role.READ_ONLY).version == 1


async def test_there_is_nothing_to_claim() -> None:
    """R-061: every token is the wrong one."""
    with pytest.raises(Refusal) as caught:
        await NoEnrollment().claim("s", "e", "enr_1", ())

    assert caught.value.reason is Reason.ENROLLMENT_FAILED


def test_nobody_is_remembered() -> None:
    """Without a roster service there is nobody to tell who was here."""
    activity = NoActivity()
    activity.seen("adm_1")

    assert vars(activity) == {}
