"""The roster from a file: who is in it, who is bound to whom, and what is no roster."""

from pathlib import Path

import pytest

from auth_proxy.roster.file import FileOperators, FileRoster, RosterFileError, load_operators
from auth_proxy.roster.source import OperatorEntry
from auth_proxy.watched import Watched
from service_kit.identity.model import Role

TWO = """
[[operators]]
email = "Ada@Example.com"
role = "super_admin"
sub = "sub-ada"
name = "Ada Quill"

[[operators]]
email = "samir@example.com"
role = "support"
"""


def write(path: Path, text: str) -> None:
    fresh = path.with_suffix(".new")
    fresh.write_text(text, encoding="utf-8")
    fresh.replace(path)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    write(tmp_path / "operators.toml", TWO)
    return tmp_path / "operators.toml"


@pytest.fixture
def watched(path: Path) -> Watched[FileOperators]:
    return Watched(path, load_operators, expected=RosterFileError)


@pytest.fixture
def roster(watched: Watched[FileOperators]) -> FileRoster:
    return FileRoster(watched)


def test_a_pinned_operator_is_known_by_subject(roster: FileRoster) -> None:
    """R-060: the subject decides; the address must be the one that the file gives."""
    assert roster.find("sub-ada", "ada@example.com") == OperatorEntry(
        "sub-ada", "sub-ada", "ada@example.com", "Ada Quill", Role.SUPER_ADMIN, active=True
    )
    assert roster.find("sub-other", "ada@example.com") is None
    assert roster.find("sub-ada", "somebody@example.com") is None
    assert roster.binds_email("ada@example.com")


def test_an_address_is_bound_to_the_first_subject_that_proves_it(roster: FileRoster) -> None:
    """R-060: the next person who is given the address is somebody else."""
    assert not roster.binds_email("samir@example.com")
    found = roster.find("sub-samir", "samir@example.com")

    assert found is not None
    assert (found.id, found.sub, found.role, found.name) == (
        "sub-samir",
        "sub-samir",
        Role.SUPPORT,
        "samir@example.com",
    )
    assert roster.find("sub-successor", "samir@example.com") is None
    assert roster.find("sub-samir", "samir@example.com") == found
    assert roster.binds_email("samir@example.com")


def test_a_stranger_is_nobody(roster: FileRoster) -> None:
    """R-039: whom Access lets in and the file does not name has no role."""
    assert roster.find("sub-x", "x@example.com") is None
    assert not roster.binds_email("x@example.com")


def test_a_change_of_the_file_counts_at_once(
    roster: FileRoster, watched: Watched[FileOperators], path: Path
) -> None:
    """R-064: removed, demoted and deactivated on the next request; each change is a new version."""
    before = roster.version
    write(path, TWO.replace('"super_admin"', '"read_only"') + "active = false\n")
    watched.look()

    ada, samir = roster.find("sub-ada", "ada@example.com"), roster.find("sub-s", "samir@example.com")
    assert ada is not None
    assert samir is not None
    assert (ada.role, ada.active, samir.active) == (Role.READ_ONLY, True, False)
    assert roster.version == before + 1
    assert roster.version == before + 1


def test_a_broken_file_leaves_the_list_as_it_was(
    roster: FileRoster, watched: Watched[FileOperators], path: Path
) -> None:
    """Nobody is locked out, and nobody is let in, by a typing mistake."""
    write(path, TWO.replace("support", "emperor"))
    watched.look()

    assert roster.find("sub-ada", "ada@example.com") is not None
    assert roster.version == 1


def test_the_addresses_without_a_subject_are_known(path: Path) -> None:
    """`check` and `doctor` name them."""
    assert load_operators(path).unpinned == ("samir@example.com",)


@pytest.mark.parametrize(
    "text, problem",
    [
        ("", "operators"),
        ("operators = []", "operators"),
        ("[[operators]]\nemail = 'ada@example.com'", "operators.0.role"),
        ("[[operators]]\nemail = 'ada@example.com'\nrole = 'root'", "operators.0.role"),
        ("[[operators]]\nemail = 'ada'\nrole = 'support'", "operators.0.email"),
        ("[[operators]]\nemail = 'a@b@c'\nrole = 'support'", "operators.0.email"),
        ("[[operators]]\nemail = 'ada@example.com'\nrole = 'support'\nsub = ''", "operators.0.sub"),
        ("[[operators]]\nemail = 'ada@example.com'\nrole = 'support'\nrule = 1", "operators.0.rule"),
        ("[[operators]]\nemail = 'ada@example.com'\nrole = 'support'\nactive = 'no way'", "active"),
        (f"{TWO}\n[[operators]]\nemail = 'ADA@example.com'\nrole = 'support'", "stands there twice"),
        (
            f"{TWO}\n[[operators]]\nemail = 'b@example.com'\nrole = 'support'\nsub = 'sub-ada'",
            "stands there twice",
        ),
        ("roles = 1", "roles"),
        ("[[operators", "is not TOML"),
    ],
)
def test_what_is_no_roster(tmp_path: Path, text: str, problem: str) -> None:
    """The place is named, the value is not."""
    write(tmp_path / "o.toml", text)

    with pytest.raises(RosterFileError) as caught:
        load_operators(tmp_path / "o.toml")

    assert problem in str(caught.value)
    assert "ada" not in str(caught.value).removeprefix(str(tmp_path))


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    """Not there, or not UTF-8."""
    with pytest.raises(RosterFileError, match="cannot be read"):
        load_operators(tmp_path / "missing.toml")
    (tmp_path / "o.toml").write_bytes(b"\xff")
    with pytest.raises(RosterFileError, match="cannot be read"):
        load_operators(tmp_path / "o.toml")
