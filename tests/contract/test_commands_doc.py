"""The examples of docs/commands.md are what the commands print."""

import asyncio
import json
import re
import shlex
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from aiohttp import web

from auth_proxy.cli import main
from deploy.demo.issuer import SigningKey
from service_kit.identity.keys import key_file_name, new_signing_key
from service_kit.identity.model import Role
from tests.fixtures.authority import Authority
from tests.fixtures.examined import Examined, examined_configuration, served
from tests.fixtures.ports import free_port

PAGE = (Path(__file__).parents[2] / "docs" / "commands.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"```console\n\$ auth-proxy ([^\n]+)\n(.*?)```", PAGE, re.DOTALL)
FOLDER = "/etc/sallyport/keys"
GAP = "…"
LOG_LINE = re.compile(r"^[\d-]{10} [\d:]{8} \[.*\n", re.MULTILINE)
"""The process of a test logs to the same place; a command of its own process keeps them apart."""
SHAPES = (
    # What differs from machine to machine and from day to day, by its form.
    (r"\b[0-9a-f]{64}\b", "TAG"),
    (r"\b[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\b", "SUB"),
    (r"(?<![\w/-])[\w-]{43}(?![\w-])", "KID"),
    (r"(?<![\w-])[\w-]{8}…", "START…"),
    (r"https?://(?!admin\.example)[\w.-]+(:\d+)?", "URL"),
    (r"127\.0\.0\.1:\d+", "ADDRESS"),
    (r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(Z| UTC)", "TIME"),
    (r"\d\d:\d\d:\d\d UTC", "TIME"),
    (r"\d{4}-\d\d-\d\d", "DAY"),
    (r"\d{8}T\d{6}Z", "STAMP"),
    (r"\bin \d+ (d|h|min|s)\b", "SOON"),
    (r" {2,}", "  "),
)

Run = Callable[[str], list[str]]


def shape(text: str) -> list[str]:
    for pattern, name in SHAPES:
        text = re.sub(pattern, name, text)
    return [line.rstrip() for line in text.strip("\n").splitlines()]


def holds(told: list[str], printed: list[str]) -> bool:
    """Whether the lines are the printed ones; a line `…` stands for any number of them."""
    pattern = "".join("(?:.*\n)*?" if line == GAP else f"{re.escape(line)}\n" for line in told)
    return re.fullmatch(pattern, "".join(f"{line}\n" for line in printed)) is not None


@pytest.fixture
async def configuration(
    access_key: SigningKey, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Examined]:
    """A team behind https, as a real one is; what is not well is what the page shows."""
    monkeypatch.setattr("auth_proxy.cli.configure_logging", lambda *_names, **_options: None)
    authority = Authority.found()
    monkeypatch.setattr("auth_proxy.commands.doctor.team.open_jwks_session", authority.trusting_session)
    tls = authority.server_context(tmp_path, host="localhost", until=datetime.now(UTC) + timedelta(days=1))
    async with examined_configuration(access_key, tmp_path, tls=tls) as everything:
        everything.environ |= {"APP_ENV": "production", "AUTH_PROXY_LISTEN": f"127.0.0.1:{free_port()}"}
        yield everything


@pytest.fixture
async def frontend() -> AsyncIterator[str]:
    """A frontend that answers everybody."""

    async def hello(_request: web.Request) -> web.Response:
        return web.Response(text="hello")

    app = web.Application()
    app.router.add_get("/", hello)
    async with served(app) as url:
        yield url


async def printed(
    told: str, configuration: Examined, capsys: pytest.CaptureFixture[str], *more: str, **changed: str
) -> list[str]:
    """The output of the command as the page has it, on this machine."""
    words = shlex.split(told.replace(FOLDER, str(configuration.keys)))
    environ = {**configuration.environ, **changed}
    await asyncio.to_thread(main, [*words, *more], environ)

    printed = capsys.readouterr().out.replace(str(configuration.keys), FOLDER)
    return shape(LOG_LINE.sub("", printed))


def example(beginning: str) -> tuple[str, list[str]]:
    (found,) = [item for item in EXAMPLES if item[0].startswith(beginning)]
    return found[0], shape(found[1])


async def test_check_is_as_told(configuration: Examined, capsys: pytest.CaptureFixture[str]) -> None:
    """R-034: the example of `check`."""
    command, told = example("check")
    alone = {"ADMIN_SERVICE_URL": "", "TENANT_SERVICE_URL": "", "AUTH_PROXY_ROSTER": "open:support"}
    lines = await printed(command, configuration, capsys, **alone)

    assert holds(told, lines), "\n".join(lines)


async def test_doctor_is_as_told(
    configuration: Examined,
    frontend: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """R-136: the example of `doctor`, with services that do not know the key and an open frontend."""
    command, told = example("doctor")
    (file,) = configuration.keys.iterdir()
    file.unlink()
    new_signing_key(file)
    monkeypatch.setattr("resource.getrlimit", lambda _which: (1024, 524288))
    monkeypatch.setattr("auth_proxy.commands.live.SNAPSHOT_SECONDS", 0.3)
    changed = {"AUTH_PROXY_UPSTREAM": frontend, "AUTH_PROXY_MAX_CONNECTIONS": ""}
    lines = await printed(command, configuration, capsys, **changed)

    assert holds(told, lines), "\n".join(lines)


@pytest.mark.parametrize(
    "beginning, role",
    [
        ("explain --token-file token.txt /api/admin/system", Role.READ_ONLY),
        ("explain --token-file token.txt --method POST", Role.SUPPORT),
    ],
)
async def test_explain_is_as_told(
    configuration: Examined, capsys: pytest.CaptureFixture[str], tmp_path: Path, beginning: str, role: Role
) -> None:
    """R-081: the examples of `explain`."""
    command, told = example(beginning)
    token, jwks = tmp_path / "token.txt", tmp_path / "jwks.json"
    token.write_text(configuration.token(role))
    jwks.write_text(json.dumps(configuration.issuer.certs_document()))
    here = command.replace("token.txt", str(token))
    lines = await printed(here, configuration, capsys, "--jwks", str(jwks))

    assert holds(told, lines), "\n".join(lines)


async def test_keys_are_as_told(configuration: Examined, capsys: pytest.CaptureFixture[str]) -> None:
    """The life of a key folder, in the order of the page."""
    (file,) = configuration.keys.iterdir()
    file.unlink()
    for beginning in ("keys new", "keys rotate", "keys list"):
        command, told = example(beginning)
        lines = await printed(command, configuration, capsys)

        assert holds(told, lines), "\n".join(lines)
        if beginning == "keys new":  # three months go by
            (made,) = configuration.keys.iterdir()
            made.rename(configuration.keys / key_file_name(datetime.now(UTC) - timedelta(days=90)))


def test_every_example_is_tried() -> None:
    """An example that no test above runs would be free to lie."""
    assert len(EXAMPLES) == 7


def test_every_command_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    """Each command of the program has its section, and each option its place in the text."""
    for command in ("run", "check", "doctor", "explain", "keys"):
        assert f"\n## {command}\n" in PAGE
    for command in ("doctor", "explain"):
        with pytest.raises(SystemExit):
            main([command, "--help"], {})
        for option in set(re.findall(r"--[a-z-]+", capsys.readouterr().out)) - {"--help"}:
            assert option in PAGE
