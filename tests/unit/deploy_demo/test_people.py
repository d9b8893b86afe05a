from uuid import UUID

from deploy.demo.people import CAST, NOEL, TOKEN_KINDS


def test_the_cast_covers_every_role_and_one_stranger() -> None:
    """There is one person for each of the four roles, and one who is nobody here (R-071, R-063)."""
    hints = [person.role_hint for person in CAST]

    assert hints == ["super_admin", "support", "read_only", "security", None]
    assert NOEL.role_hint is None


def test_nobody_in_the_cast_is_real() -> None:
    """Each address is normalised and ends in example.com; keys, addresses and subs differ (R-048)."""
    emails = [person.email for person in CAST]
    keys = [person.key for person in CAST] + [kind.key for kind in TOKEN_KINDS]

    assert all(email.endswith("@example.com") and email == email.lower() for email in emails)
    assert len(set(emails)) == len({person.sub for person in CAST}) == len(CAST)
    assert len(set(keys)) == len(keys)


def test_subs_are_uuids_and_never_change() -> None:
    """A `sub` is a UUID that depends on the address only: sample data may hold it (R-060)."""
    assert {UUID(person.sub).version for person in CAST} == {5}
    assert CAST[0].sub == "3d21f9ee-d85e-5a10-bda2-dff7da80567a"
