"""docs/any-frontend.md, "Checking an `ax_token`": what it shows works, and it shows the file that works."""

import asyncio
import importlib.util
import json
import re
import shlex
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from admin_service.settings import AdminSettings
from deploy.demo.issuer import SigningKey
from service_kit.identity.model import Role
from tests.fixtures.planes import Planes, planes
from tests.fixtures.sidecar import person
from tests.integration.admin_service.admin_process import AdminProcess

DOCS = Path(__file__).resolve().parents[2] / "docs"
SNIPPET = DOCS / "snippets" / "session_check.py"
PAGE = (DOCS / "any-frontend.md").read_text(encoding="utf-8")
SECTION = PAGE.partition("\n## Checking an `ax_token`\n")[2].partition("\n## ")[0]
ADA = person(Role.SUPER_ADMIN)
SessionOf = Callable[[str, str, str], dict[str, Any] | None]


def admin_of(both: Planes) -> AdminProcess:
    process = both.admin.process
    assert isinstance(process, AdminProcess)
    return process


@pytest.fixture
async def both(access_key: SigningKey, tmp_path: Path) -> AsyncIterator[Planes]:
    """The sidecar before a frontend, and the admin service with the one setting that the page tells."""
    (line,) = re.findall(r"^(SESSION_CHECK_AUDIENCES)=(\S+)$", SECTION, re.MULTILINE)
    async with planes(access_key, access_key, tmp_path, **dict([line])) as running:
        admin = admin_of(running)
        await admin.add(operator_id="adm_ada", cf_access_sub=ADA.sub)
        await admin.hold("adm_ada", "axs_ada", access_sub=ADA.sub)
        yield running


def snippet() -> SessionOf:
    spec = importlib.util.spec_from_file_location("session_check", SNIPPET)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    session_of: SessionOf = module.session_of
    return session_of


def test_the_page_shows_the_file() -> None:
    """R-163: the snippet of the page is the file that the test below runs."""
    _, _, text = SNIPPET.read_text(encoding="utf-8").partition("\n")

    assert f"```python\n{text}```" in SECTION
    assert str(AdminSettings.model_fields["session_check_audiences"].validation_alias) in SECTION


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_the_snippet_tells_whose_session_it_is(both: Planes, method: str) -> None:
    """R-163: with the very header that the sidecar sent the frontend, for a read and for a change."""
    identity = await both.signed_by_sidecar(method, "/page")
    service = f"127.0.0.1:{both.admin.process.client.port}"

    known = await asyncio.to_thread(snippet(), identity, "axs_ada", service)
    unknown = await asyncio.to_thread(snippet(), identity, "axs_other", service)
    forged = await asyncio.to_thread(snippet(), f"{identity[:-8]}AAAAAAAA", "axs_ada", service)

    assert known is not None
    assert known["operator"]["id"] == "adm_ada"
    assert set(known) == {"operator", "expiresAt"}
    assert unknown is None
    assert forged is None


async def test_the_snippet_takes_no_failure_for_an_answer(both: Planes) -> None:
    """R-163: where nobody can say whether it is a session, the API is told so and refuses."""
    identity = await both.signed_by_sidecar("GET", "/page")
    admin = admin_of(both)
    await admin.sql("ALTER TABLE operator_sessions RENAME TO elsewhere")

    with pytest.raises(ConnectionError):
        await asyncio.to_thread(snippet(), identity, "axs_ada", f"127.0.0.1:{admin.client.port}")


async def test_the_command_of_the_page_gets_the_same_answer(both: Planes) -> None:
    """R-163: what the page lets one try by hand works as it stands."""
    identity = await both.signed_by_sidecar("GET", "/page")
    (command,) = re.findall(r"^curl .+$", SECTION, re.MULTILINE)
    filled = command.replace("$IDENTITY", identity).replace("$AX_TOKEN", "axs_ada")
    words = shlex.split(filled.replace(":8081", f":{both.admin.process.client.port}"))

    process = await asyncio.create_subprocess_exec(*words, stdout=asyncio.subprocess.PIPE)
    output, _ = await process.communicate()

    assert b'"id": "adm_ada"' in output


async def test_a_mistake_of_the_set_up_has_another_code_than_a_no(both: Planes) -> None:
    """R-163: as the page tells: SESSION_INVALID is about the token, every other 401 about the identity."""
    identity = await both.signed_by_sidecar("GET", "/page")
    token, shown = "X-AX-Token: axs_ada", f"X-Internal-Identity: {identity}"
    (told,) = re.findall(r"^\| 401 `([A-Z_]+)` \|", SECTION, re.MULTILINE)

    async def code(*lines: str) -> str:
        answer = await both.admin.send("GET", "/api/access-sso/session", *lines)
        assert answer.status == 401
        return str(json.loads(answer.body)["code"])

    assert {await code(shown), await code(shown, "X-AX-Token: axs_other")} == {told}
    assert told not in {await code(token), await code(f"{shown[:-8]}AAAAAAAA", token)}
    assert "401 with another `code`" in SECTION
