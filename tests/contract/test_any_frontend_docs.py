"""docs/any-frontend.md and docs/spa.md name what the code reads and answers, all of it and nothing else."""

import re
import tomllib
from pathlib import Path

import pytest
from pydantic import BaseModel

from auth_proxy import route_file
from auth_proxy.refusals import ANSWERS, AUDITED, Reason
from auth_proxy.roster import file as roster_file
from auth_proxy.route_file import load_route_file
from auth_proxy.routes import ANY_METHOD, IdentityField, Requirement
from auth_proxy.transport.transfer import RESPONSE_HEADER_SECONDS
from auth_proxy.transport.upstream_pool import CONNECT_SECONDS
from auth_proxy.transport.websocket_frames import CloseCode
from service_kit.identity.model import Role

DOCS = Path(__file__).resolve().parents[2] / "docs"
PAGE = (DOCS / "any-frontend.md").read_text(encoding="utf-8")
SPA = (DOCS / "spa.md").read_text(encoding="utf-8")
ROUTES, ROSTER = route_file._RouteTable, roster_file._Operator
DEFAULT_IN_WORDS = {
    "host": "every host",
    "methods": "all seven",
    "permission": "`operator`",
    "roles": "unset",
    "identity_headers": "none",
    "max_body": "`AUTH_PROXY_MAX_BODY`",
    "timeouts": "see below",
    "sub": "unset",
    "name": "the address",
}


def section(heading: str, page: str = PAGE) -> str:
    """From a heading to the next one of its level or above."""
    level = heading.partition(" ")[0]
    rest = page.partition(f"\n{heading}\n")[2]
    assert rest, f"no section {heading}"
    return re.split(rf"\n#{{2,{len(level)}}} ", rest)[0]


def rows(text: str) -> dict[str, list[str]]:
    """The rows of the tables in a text whose first cell is one name in code."""
    found = re.findall(r"^\| `([\w-]+)` \|(.*)\|$", text, re.MULTILINE)
    return {name: [cell.strip() for cell in cells.split(" | ")] for name, cells in found}


@pytest.mark.parametrize(
    "heading, model, others",
    [
        ('### `[hosts."<host>"]`', route_file._Host, set()),
        ("### `[[routes]]`", ROUTES, set(route_file._Timeouts.model_fields)),
        ("## The roster file", ROSTER, set()),
    ],
    ids=["hosts", "routes", "operators"],
)
def test_the_tables_name_the_keys_that_are_read(
    heading: str, model: type[BaseModel], others: set[str]
) -> None:
    """R-007: a key that the file takes is explained, and none that it does not take."""
    assert set(rows(section(heading))) == set(model.model_fields) | others


@pytest.mark.parametrize(
    "heading, model",
    [("### `[[routes]]`", ROUTES), ("## The roster file", ROSTER)],
    ids=["routes", "operators"],
)
def test_the_defaults_are_the_ones_of_the_code(heading: str, model: type[BaseModel]) -> None:
    """R-007: a default that is told is the one that holds when the key is left out."""
    told = rows(section(heading))
    for name, field in model.model_fields.items():
        meant = "required" if field.is_required() else DEFAULT_IN_WORDS.get(name, f"`{field.default}`")
        assert told[name][0] == (meant.lower() if meant in ("`True`", "`False`") else meant), name


def test_the_seconds_that_are_told_are_those_of_the_relay() -> None:
    """R-007: the waits of an upstream that the page names are the ones that hold."""
    told = rows(section("### `[[routes]]`"))

    assert told["connect"][0] == f"`{CONNECT_SECONDS:g}`"
    assert told["response_header"][0] == f"`{RESPONSE_HEADER_SECONDS:g}`"


def test_the_words_that_a_key_takes_are_all_told() -> None:
    """R-007: roles, identity fields, methods and requirements stand in the row of their key."""
    told = rows(section("### `[[routes]]`"))

    def words(name: str) -> set[str]:
        return set(re.findall(r"`([\w]+)`", told[name][1]))

    assert words("roles") == {role.value for role in Role}
    assert words("identity_headers") == {field.value for field in IdentityField}
    assert words("methods") == ANY_METHOD
    assert words("permission") >= {requirement.value for requirement in Requirement}
    assert set(re.findall(r"`(\w+)`", rows(section("## The roster file"))["role"][1])) == {
        role.value for role in Role
    }


@pytest.mark.parametrize(
    "broken",
    [
        'prefix = "/x/"',
        'prefix = "/a/../b"',
        'prefix = "/x:y"',  # a client may write "%3A", and a wider route would let it pass
        'prefix = "/x@y"',
        'prefix = "/x%20y"',
        'prefix = "/x"\npermission = "operator"\nroles = ["support"]',
        'prefix = "/x"\nroles = []',
        'prefix = "/x"\naudience = "admin_service"',
        'prefix = "/x"\nidentity_headers = { "Cookie" = "email" }',
        'prefix = "/x"\nidentity_headers = { "Content-Type" = "email" }',
        'prefix = "/x"\nidentity_headers = { "X-Internal-Identity" = "email" }',
        'prefix = "/x"\nidentity_headers = { "X-User" = "email", "x_user" = "sub" }',
        'prefix = "/x"\nmax_body = 0',
        'prefix = "/x"\nspa_fallback = true',
        'prefix = "/x"\ntimeouts = { idle = 0 }',
        'prefix = "/x"\ntimeouts = { total = 5 }',
        'prefix = "/x"\nmethods = ["TRACE"]',
        'prefix = "/x"\nwebsocket = true\nmethods = ["POST"]',
        'prefix = "/x"\nunheard = 1',
        'prefix = "/x"\nmax_body = ' + "9" * 5000,
        'prefix = "/x"\nunheard = ' + "[" * 5000,
        'prefix = "/x"\n[hosts."A.example"]\naudiences = ["1"]\n[hosts."a.example"]\naudiences = ["2"]',
        'prefix = "/x"\n[[routes]]\ntarget = "http://127.0.0.1:4"\nprefix = "/X"',
        'prefix = "/x"\nencoded_slashes = true\n[[routes]]\ntarget = "http://127.0.0.1:4"\nprefix = "/x/y"',
    ],
)
def test_what_the_page_says_is_refused_is_refused(broken: str, tmp_path: Path) -> None:
    """R-007: each thing of the column "refused" stops the start."""
    path = tmp_path / "auth_proxy.toml"
    path.write_text(f'[[routes]]\ntarget = "http://127.0.0.1:3000"\n{broken}\n')

    with pytest.raises(ValueError, match=r"routes|two routes|encoded_slashes|is not TOML|hosts"):
        load_route_file(path)


def test_every_toml_of_the_page_is_valid_toml() -> None:
    """Whatever the page writes into a file can be read back."""
    files = re.findall(r"<<'END'\n(.*?)^END", PAGE, re.MULTILINE | re.DOTALL)
    found = [tomllib.loads(text) for text in files if text.startswith("[")]

    assert [set(document) for document in found] == [{"operators"}, {"hosts", "routes"}]


def test_the_commands_of_the_checklist_exist(capsys: pytest.CaptureFixture[str]) -> None:
    """Each `auth-proxy` command that the page tells is one."""
    from auth_proxy.cli import main

    for command in set(re.findall(r"auth-proxy (run|check|doctor|keys new)", PAGE)):
        with pytest.raises(SystemExit) as ended:
            main([*command.split(), "--help"])
        assert ended.value.code == 0, command
    assert capsys.readouterr().err == ""


def test_the_snippet_is_the_file() -> None:
    """R-164: the client that the page shows is the file that the browser test runs, of ten lines."""
    snippet = (DOCS / "snippets" / "access-sso.mjs").read_text(encoding="utf-8")

    assert f"```js\n{snippet}```" in SPA
    assert len([line for line in snippet.splitlines() if not line.startswith("/**")]) <= 10


def test_the_codes_that_a_frontend_meets_are_real() -> None:
    """R-165: each status and code of the page is an answer of the sidecar."""
    answers = {(str(answer.status), answer.code) for answer in ANSWERS.values()}
    told = {
        (status, code)
        for line in section("## Later refusals", SPA).splitlines()
        for status, codes in re.findall(r"(\d{3}) ((?:`[A-Z_]+`(?:, )?)+)", line)
        for code in re.findall(r"`([A-Z_]+)`", codes)
    }

    assert told <= answers
    audited = {(str(ANSWERS[reason].status), ANSWERS[reason].code) for reason in AUDITED}
    asked_of_the_token = {
        (str(answer.status), answer.code)
        for reason, answer in ANSWERS.items()
        if reason.value.startswith("token_") or reason is Reason.SERVICE_TOKEN
    }
    assert audited | asked_of_the_token <= told


def test_the_bare_answers_are_the_ones_without_a_code() -> None:
    """R-165: a frontend that parses JSON knows which two refusals have none."""
    plain = {f"{answer.status} `{answer.error}`" for answer in ANSWERS.values() if answer.plain}

    assert len(plain) == 2
    assert all(text in SPA for text in plain)


def test_the_close_codes_of_websockets_are_told() -> None:
    """R-064: what a page is told when its websocket is ended is what the code says."""
    told = {int(code) for code in re.findall(r"^\| (\d{4}) \|", SPA, re.MULTILINE)}

    assert told == {code.value for code in CloseCode}
