"""The documents that the code can write say what the code says, and leave nothing out."""

import subprocess
import sys
from pathlib import Path

import pytest

from auth_proxy.refusals import ANSWERS, Reason
from docs import generate
from service_kit.identity.model import OPERATOR_PERMISSIONS, Permission, Role
from service_kit.settings import variables

ROOT = Path(__file__).resolve().parents[2]
GENERATED = ("settings.md", "refusals.md", "permissions.md", "metrics.md", "api.md", "identity-vectors.json")


@pytest.mark.parametrize("name", GENERATED)
def test_a_generated_document_is_what_the_code_says(name: str) -> None:
    """Nobody forgot to run docs/generate.py (R-081 for the permissions)."""
    written = (ROOT / "docs" / name).read_text(encoding="utf-8")

    assert written == generate.documents()[name], "run python docs/generate.py"


def test_every_variable_of_every_service_is_documented() -> None:
    """No setting is missing from docs/settings.md, under none of its names (R-034)."""
    text = generate.documents()["settings.md"]
    names = {
        name
        for service in generate.SERVICES
        for group in variables(service.settings).values()
        for name in group
    }

    assert {name for name in names if f"`{name}`" not in text} == set()


def test_every_reason_is_documented_with_its_answer() -> None:
    """No refusal is missing from docs/refusals.md."""
    rows = generate.refusals_document().splitlines()

    for reason in Reason:
        (row,) = (row for row in rows if row.startswith(f"| `{reason.value}` |"))
        assert f"{ANSWERS[reason].status} `{ANSWERS[reason].code}`" in row


def test_every_reason_has_a_note_for_who_runs_it() -> None:
    """Issue 10: a reason without a note, one that is told twice and one that is none stop the generator."""
    text = generate.NOTES.read_text(encoding="utf-8")

    assert len(generate.refusal_notes(text)) > 20
    wrong = {'"token_type"': "token_missing", '"token_type", "token_missing"': "token_type", '"gone"': "gone"}
    for words, named in wrong.items():
        with pytest.raises(generate.UndocumentedError, match=named):
            generate.refusal_notes(text.replace('"token_missing"', words))


def test_the_permission_matrix_is_the_one_constant() -> None:
    """R-081: docs/permissions.md says of each role what OPERATOR_PERMISSIONS says."""
    rows = generate.permissions_document().splitlines()

    for permission in Permission:
        (row,) = (row for row in rows if row.startswith(f"| `{permission.value}` |"))
        said = [cell.strip() == "yes" for cell in row.split("|")[2:-1]]
        assert said == [permission in OPERATOR_PERMISSIONS[role] for role in Role]


def test_a_super_admin_may_do_everything() -> None:
    """R-072: the column of super_admin says yes to every permission."""
    rows = generate.permissions_document().partition("## Routes")[0].splitlines()
    said = [row.split("|")[2].strip() for row in rows if row.startswith("| `") and "." in row]

    assert said == ["yes"] * len(Permission)


def test_a_setting_without_a_text_stops_the_generator() -> None:
    """A new setting cannot stay undocumented."""
    with pytest.raises(generate.UndocumentedError, match="ADMIN_HOST"):
        generate.settings_document({"auth_proxy": {"APP_ENV": "Something."}})


def test_a_text_without_a_setting_stops_the_generator() -> None:
    """A setting that is gone leaves the documentation too."""
    texts = generate.setting_texts()
    texts["tenant_service"] = {**texts["tenant_service"], "GONE": "Nothing reads this."}

    with pytest.raises(generate.UndocumentedError, match="GONE"):
        generate.settings_document(texts)


def test_the_command_checks_without_writing(tmp_path: Path) -> None:
    """`python docs/generate.py --check` names a file that is out of date, fails, and leaves it alone."""
    docs = tmp_path / "docs"
    docs.mkdir()
    for name in ("generate.py", "setting-texts.toml", *GENERATED):
        (docs / name).write_bytes((ROOT / "docs" / name).read_bytes())
    (docs / "refusals.md").write_text("# Refusals\n", encoding="utf-8")

    result = subprocess.run(
        [sys.executable, docs / "generate.py", "--check"],
        env={"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )

    assert result.returncode == 1
    assert "docs/refusals.md: out of date" in result.stdout
    assert (docs / "refusals.md").read_text(encoding="utf-8") == "# Refusals\n"
