"""What README and CONTRIBUTING tell a newcomer to type, set or open is really there."""

import re
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import pytest

from admin_service import cli as admin_cli
from auth_proxy import cli as proxy_cli
from auth_proxy.refusals import ANSWERS
from auth_proxy.settings import load_proxy_settings
from deploy.demo.people import CAST, TOKEN_KINDS
from docs import generate
from service_kit.settings import variables
from tenant_service import cli as tenant_cli
from tenant_service.app import endpoints
from tenant_service.public_wiring import public_endpoints

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = sorted(
    [
        *(path for path in ROOT.glob("*.md")),
        *(path for path in (ROOT / "docs").rglob("*.md")),
    ]
)
VARIABLE = (
    # Not a member of an enum (Permission.TENANT_VIEW), and not a code in quotes ("TENANT_NOT_FOUND").
    r"(?<![.\w\"])((?:ADMIN|AUTH_PROXY|CF_ACCESS|TENANT|INTERNAL|ROSTER|LOCAL_DEV|ALLOW_DEV|DEMO)_[A-Z_]+)\b"
)
DEMO_VARIABLES = {"DEMO_PORT_OFFSET", "DEMO_DATA"}
TEST_VARIABLES = {"PYTEST_ARGS"}
SIDECAR_COMMANDS = ("run", "check", "doctor", "explain", "keys new", "keys rotate", "keys list")


Program = Callable[[list[str]], int]


def code_in(text: str) -> Iterator[str]:
    """Every inline code span and fenced block of a page."""
    yield from re.findall(r"^ *```[a-z]*\n(.*?)^ *```", text, re.MULTILINE | re.DOTALL)
    yield from re.findall(r"`([^`\n]+)`", text)


def known_variables() -> set[str]:
    services = generate.SERVICES
    names = {name for service in services for group in variables(service.settings).values() for name in group}
    return names | DEMO_VARIABLES | TEST_VARIABLES


@cache
def known_codes() -> frozenset[str]:
    """Every code that an answer can have."""
    codes = {answer.code for answer in ANSWERS.values()}
    codes |= {code for row in endpoints() for code in row.errors}
    codes |= {code for row in public_endpoints() for code in row.errors}
    documents = (ROOT / "docs" / "openapi").glob("*.json")
    return frozenset(codes).union(
        *(re.findall(r"[A-Z]+(?:_[A-Z]+)+", each.read_text("utf-8")) for each in documents)
    )


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_make_targets_that_are_told_exist(page: Path) -> None:
    """`make <target>` in a text is a target of the Makefile."""
    told = {
        target
        for code in code_in(page.read_text(encoding="utf-8"))
        # As a command: a sentence that a program prints may "make it" too.
        for target in re.findall(r"(?:^|[;&|] *|=\S+ )make ([a-z]+)", code, re.MULTILINE)
    }
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")

    assert {target for target in told if not re.search(rf"^{target}:", makefile, re.MULTILINE)} == set()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_variables_that_are_told_exist(page: Path) -> None:
    """An environment variable in a text is one that some settings class reads (R-034)."""
    told = {name for code in code_in(page.read_text(encoding="utf-8")) for name in re.findall(VARIABLE, code)}

    assert told - known_variables() - known_codes() == set()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_inside_the_repository_lead_somewhere(page: Path) -> None:
    """A relative link in a text names a file or folder that is there."""
    links = re.findall(r"\]\((?!https?:|#)([^)#\s]+)", page.read_text(encoding="utf-8"))

    assert [link for link in links if not (page.parent / link).exists() and "NNNN" not in link] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_files_that_are_named_exist(page: Path) -> None:
    """A path of ours in a text is a file or folder that is there."""
    roots = "auth_proxy|admin_service|tenant_service|service_kit|deploy|docs|tests|benchmarks"
    named = {
        path
        for code in code_in(page.read_text(encoding="utf-8"))
        for path in re.findall(rf"(?<![\w/.-])((?:{roots})/[\w./-]*)", code)
    }

    assert {path for path in named if not (ROOT / path).exists()} == set()


def test_the_map_leaves_out_no_package() -> None:
    """R-001: each top-level folder that a newcomer sees is explained in the map."""
    told = set(re.findall(r"^\| `([\w/]+)/` \|", README, re.MULTILINE))
    there = {
        path.name
        for path in ROOT.iterdir()
        if path.is_dir() and any(path.glob("**/*.py")) and path.name not in {"data", "artefacts", "build"}
        if not path.name.startswith(".")
    }

    assert there <= {folder.partition("/")[0] for folder in told}


def test_the_environment_of_a_standalone_sidecar_is_complete(tmp_path: Path) -> None:
    """R-007: what the README exports is all that a sidecar before another frontend needs."""
    block = README[README.index("auth-proxy keys new") :].partition("```")[0]
    exported = dict(re.findall(r"^export (\w+)=(\S+)", block, re.MULTILINE))

    settings = load_proxy_settings({**exported, "INTERNAL_SIGNING_KEY_FILE": str(tmp_path / "key.pem")})

    assert settings.roster_source == "open:support"
    assert settings.admin_service is None
    assert str(settings.listen) in README


def test_the_commands_that_are_told_exist(capsys: pytest.CaptureFixture[str]) -> None:
    """Each console command and subcommand of the README is one that the programs know."""
    programs: dict[str, Program] = {
        "auth-proxy": proxy_cli.main,
        "admin-service": admin_cli.main,
        "tenant-service": tenant_cli.main,
    }
    told = {
        tuple(words.split())
        for code in code_in(README)
        for words in re.findall(
            r"\b((?:auth-proxy|admin-service|tenant-service) [a-z-]+(?: (?:new|rotate|list))?)\b", code
        )
    }

    sidecars = {("auth-proxy", *words.split()) for words in SIDECAR_COMMANDS}
    assert sidecars <= told
    assert len(told) >= 12
    for program, *words in told:
        with pytest.raises(SystemExit) as ended:
            programs[program]([*words, "--help"])
        assert ended.value.code == 0, f"{program} {words}: {capsys.readouterr().err}"


def test_the_table_of_refusals_names_real_answers() -> None:
    """Each status and code in the README's table is an answer that the sidecar gives."""
    told = set(re.findall(r"\b(\d{3}) `([A-Z_]+)`", README))

    assert len(told) >= 11
    assert told <= {(str(answer.status), answer.code) for answer in ANSWERS.values()}


def test_the_people_of_the_demo_are_the_ones_that_are_told() -> None:
    """Whoever the README says to choose can be chosen, and is what it says."""
    by_name = {person.name.partition(" ")[0]: person.role_hint for person in CAST}

    assert {"Ada", "Samir", "Rosa", "Irma", "Noel"} == set(by_name)
    for name in ("Samir", "Rosa", "Irma"):
        assert f"{name} ({by_name[name]})" in " ".join(README.split())
    assert f"**{CAST[0].name}**" in README
    assert all(f'"{kind.name}"' in README for kind in TOKEN_KINDS)


def test_the_ports_of_the_demo_are_the_ones_that_are_told() -> None:
    """Each address in the README is one that the demo listens on."""
    told = {int(port) for port in re.findall(r"(?:localhost|127\.0\.0\.1):(\d{4})", README)} - {3000}
    source = (ROOT / "deploy" / "demo" / "run.py").read_text(encoding="utf-8")

    assert told == {8000, 8003, 8080, 8081, 8082, 9090, 9091, 9092}
    assert all(re.search(rf"\b{port}\b", source) for port in told)
