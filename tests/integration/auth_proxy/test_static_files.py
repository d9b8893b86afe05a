"""A folder as the frontend: served to whom the gate lets in, and nothing beside it."""

import asyncio
import gzip
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from auth_proxy.pipeline.exchange import SignedGrant
from auth_proxy.transport.static_files import FileFinder
from deploy.demo.issuer import SigningKey
from service_kit.identity.model import Role
from tests.fakes.admin_service import operator
from tests.fixtures.sidecar import ORIGIN, SidecarUnderTest, person, sidecar_under_test
from tests.fixtures.websockets import gauge, until
from tests.integration.auth_proxy.scripted_upstream import request_bytes

ALONE = {"ADMIN_SERVICE_URL": "", "TENANT_SERVICE_URL": "", "AUTH_PROXY_ROSTER": "open:support"}
SECRET = "not for anybody"


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A site as careless people leave it: hidden files, links, something secret beside it."""
    root = tmp_path / "site"
    (root / "docs").mkdir(parents=True)
    (root / ".git").mkdir()
    (root / ".well-known").mkdir()
    (root / "index.html").write_text("<h1>home</h1>")
    (root / "docs" / "index.html").write_text("<h1>docs</h1>")
    (root / "app.js").write_text("console.log(1)\n" * 100)
    (root / "app.js.gz").write_bytes(gzip.compress(b"console.log(1)\n" * 100))
    (root / "with space.txt").write_text("space")
    (root / ".env").write_text(SECRET)
    (root / ".git" / "config").write_text(SECRET)
    (root / ".well-known" / "x.txt").write_text("known")
    (tmp_path / "secret.txt").write_text(SECRET)
    (root / "leads-out.txt").symlink_to(tmp_path / "secret.txt")
    (root / "leads-in.js").symlink_to(root / "app.js")
    (root / "env.txt").symlink_to(root / ".env")
    (root / "config.txt").symlink_to(root / ".git" / "config")
    (root / "circle").symlink_to(root / "circle")
    (root / "empty").mkdir()
    return root


@pytest.fixture
async def static(access_key: SigningKey, tmp_path: Path, site: Path) -> AsyncIterator[SidecarUnderTest]:
    settings = {**ALONE, "AUTH_PROXY_UPSTREAM": f"static:{site}"}
    async with sidecar_under_test(access_key, tmp_path, **settings) as under_test:
        yield under_test


async def test_files_come_with_their_headers(static: SidecarUnderTest) -> None:
    """R-160: typed, private, never sniffed, with an ETag that saves the second transfer."""
    answer = await static.get("/app.js")

    assert answer.status == 200
    assert answer.header("Content-Type") in ("text/javascript", "application/javascript")
    assert answer.header("Cache-Control") == "private, no-cache"
    assert answer.header("X-Content-Type-Options") == "nosniff"
    assert answer.header("Server") == "sallyport"
    again = await static.get("/app.js", headers=(("If-None-Match", answer.header("ETag")),))
    assert (again.status, again.body) == (304, b"")


async def test_ranges_precompressed_files_and_heads(static: SidecarUnderTest) -> None:
    """A part is a part, a twin that is compressed goes to whom understands it, HEAD has no body."""
    part = await static.get("/app.js", headers=(("Range", "bytes=0-6"),))
    packed = await static.get("/app.js", headers=(("Accept-Encoding", "gzip"),))
    head = await static.get("/app.js", method="HEAD")

    assert (part.status, part.body) == (206, b"console")
    assert packed.header("Content-Encoding") == "gzip"
    assert gzip.decompress(packed.body).startswith(b"console.log")
    assert (head.status, head.body, head.header("Content-Length")) == (200, b"", "1500")


@pytest.mark.parametrize(
    "target, body",
    [
        ("/", b"<h1>home</h1>"),
        ("/index.html", b"<h1>home</h1>"),
        ("/docs/", b"<h1>docs</h1>"),
        ("/with%20space.txt", b"space"),
        ("/.well-known/x.txt", b"known"),
        ("/app.js?v=1", None),
        ("/leads-in.js", None),
    ],
)
async def test_what_is_in_the_folder_is_found(
    static: SidecarUnderTest, target: str, body: bytes | None
) -> None:
    """An index for a folder, an escaped name, a link that stays inside."""
    answer = await static.get(target)

    assert answer.status == 200
    assert body is None or answer.body == body


async def test_a_folder_is_named_with_its_slash(static: SidecarUnderTest) -> None:
    """Relative links of the index would lead beside the folder; the query stays."""
    answer = await static.get("/docs?a=1")

    assert (answer.status, answer.header("Location")) == (308, "/docs/?a=1")


@pytest.mark.parametrize(
    "target",
    [
        "/.env",
        "/.git/config",
        "/.git",
        "/leads-out.txt",
        "/env.txt",
        "/config.txt",
        "/circle",
        "/empty",
        "/empty/",
        "/missing",
        "/missing.js",
        "/docs/missing.html",
        "/app.js/x",
        "/" + "x" * 300,
        "/../secret.txt",
        "/%2e%2e/secret.txt",
        "/..%2fsecret.txt",
        "/docs/..%2f..%2fsecret.txt",
        "/%00",
        "/app.js%00",
        "//etc/passwd",
    ],
)
async def test_nothing_else_is(static: SidecarUnderTest, target: str) -> None:
    """R-160: not hidden, not linked away, not by any spelling of the way up."""
    answer = await static.get(target)

    assert answer.status in (400, 404)
    assert SECRET.encode() not in answer.raw
    assert b"/site" not in answer.raw


async def test_nobody_gets_a_byte_without_a_token(static: SidecarUnderTest) -> None:
    """R-160: a stylesheet is refused like everything else, and says nothing of whether it exists."""
    there = await static.get("/app.js", token=None)
    missing = await static.get("/missing.js", token=None)

    assert there.status == missing.status == 403
    assert b"console" not in there.raw


async def test_a_folder_only_reads(static: SidecarUnderTest) -> None:
    """There is nothing to write to: the methods that exist are named."""
    answer = await static.get("/app.js", method="POST", headers=(("Origin", ORIGIN),))

    assert (answer.status, answer.header("Allow")) == (405, "GET, HEAD")


async def test_pages_of_a_frontends_own_router(access_key: SigningKey, tmp_path: Path, site: Path) -> None:
    """`spa_fallback`: an unknown page is the application; an unknown script is still missing."""
    path = tmp_path / "routes.toml"
    path.write_text(
        f'[[routes]]\nprefix = "/"\ntarget = "static:{site}"\nspa_fallback = true\n'
        f'[[routes]]\nprefix = "/files"\ntarget = "static:{site}"\nstrip_prefix = true\n'
    )
    settings = {**ALONE, "AUTH_PROXY_UPSTREAM": "", "AUTH_PROXY_CONFIG": str(path)}
    async with sidecar_under_test(access_key, tmp_path, **settings) as sidecar:
        assert (await sidecar.get("/users/42")).body == b"<h1>home</h1>"
        assert (await sidecar.get("/missing.js")).status == 404
        assert (await sidecar.get("/.env")).status == 404
        assert (await sidecar.get("/files/docs/")).body == b"<h1>docs</h1>"
        assert (await sidecar.get("/files/users/42")).status == 404


@pytest.mark.parametrize("target", ["/app.js", "/docs/index.html", "/"])
@pytest.mark.parametrize("headers", [(), (("If-Modified-Since", "Fri, 01 Jan 2100 00:00:00 GMT"),)])
async def test_a_link_that_comes_after_the_look_is_not_followed(
    static: SidecarUnderTest,
    site: Path,
    monkeypatch: pytest.MonkeyPatch,
    target: str,
    headers: tuple[tuple[str, str], ...],
) -> None:
    """R-160: who swaps the file, or its folder, between the decision and the opening gets a 404."""
    find = FileFinder.find
    outside = site.parent / "outside"
    outside.mkdir()
    (outside / "index.html").write_text(SECRET)

    async def swapping(self: FileFinder, signed: SignedGrant) -> object:
        found = await find(self, signed)
        swapped = found.file.parent if found.file.parent.name == "docs" else found.file
        swapped.rename(site.parent / "away")
        swapped.symlink_to(outside if swapped.suffix == "" else outside / "index.html")
        return found

    before = static.refusals("file_not_found")
    monkeypatch.setattr(FileFinder, "find", swapping)
    answer = await static.get(target, headers=headers)

    assert (answer.status, SECRET.encode() in answer.raw) == (404, False)
    assert static.refusals("file_not_found") == before + 1


@pytest.mark.parametrize("accepts, suffix", [("gzip", ".gz"), ("br", ".br")])
async def test_a_twin_that_leads_out_is_no_twin(
    static: SidecarUnderTest, site: Path, accepts: str, suffix: str
) -> None:
    """R-160: a precompressed file is looked at like any other; the plain one is still there."""
    twin = site / f"index.html{suffix}"
    twin.symlink_to(site.parent / "secret.txt")
    linked = await static.get("/", headers=(("Accept-Encoding", accepts),))
    twin.unlink()
    os.mkfifo(twin)
    pipe = await static.get("/", headers=(("Accept-Encoding", accepts),))

    assert (linked.body, pipe.body) == (b"<h1>home</h1>", b"<h1>home</h1>")
    assert linked.header("Content-Encoding") == ""


async def test_a_file_under_way_ends_with_its_grant(
    access_key: SigningKey, tmp_path: Path, site: Path
) -> None:
    """R-064: a large file breaks off visibly when its operator is deactivated, and only that one."""
    size = 400_000_000
    with (site / "large.bin").open("wb") as file:
        file.truncate(size)
    async with sidecar_under_test(access_key, tmp_path, AUTH_PROXY_UPSTREAM=f"static:{site}") as sidecar:
        reader, writer = await asyncio.open_connection("127.0.0.1", sidecar.port, limit=1024)
        writer.write(request_bytes(sidecar, "/large.bin"))
        got = len(await reader.readexactly(65536))
        await asyncio.sleep(0.6)
        who = person(Role.SUPER_ADMIN)
        sidecar.admin.put(operator(who.sub, who.email, Role.SUPER_ADMIN, active=False))
        await until(lambda: gauge(sidecar, "connections") == 0)
        try:
            while chunk := await reader.read(1 << 20):
                got += len(chunk)
        except ConnectionError:
            pass
        writer.close()

        assert got < size / 2
        name, labels = "auth_proxy_streams_ended_total", {"reason": "operator_deactivated"}
        assert sidecar.registry.get_sample_value(name, labels) == 1
        other = sidecar.token(person(Role.SUPPORT))
        assert (await sidecar.get("/docs/index.html", token=other)).status == 200
