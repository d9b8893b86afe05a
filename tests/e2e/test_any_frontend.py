"""docs/any-frontend.md followed to the letter: its shell blocks, the real process, really signed tokens."""

import asyncio
import json
import re
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from deploy.demo.issuer import AccessIssuer, SigningKey
from deploy.demo.people import Person
from tests.fakes.recording_upstream import RecordingUpstream, recording_upstream
from tests.fixtures.ports import free_port
from tests.fixtures.standalone import ROOT, Standalone, access_team, shell_environment

pytestmark = [pytest.mark.stack, pytest.mark.timeout(90)]

PAGE = (ROOT / "docs" / "any-frontend.md").read_text(encoding="utf-8")
AUD, SECOND_AUD = "1" * 64, "2" * 64
SITE, GRAFANA = "admin.example.com", "grafana.example.com"
YOU = Person.with_email("you@example.com")
COLLEAGUE = Person.with_email("colleague@example.com")
STRANGER = Person.with_email("stranger@example.com")


def shell_blocks(heading: str) -> list[str]:
    """The shell blocks of one section, in their order."""
    section = PAGE.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    return re.findall(r"^```sh\n(.*?)^```", section, re.MULTILINE | re.DOTALL)


@dataclass
class Reader:
    """Somebody who copies the blocks, with only the places and the names of their own put in."""

    folder: Path
    issuer: AccessIssuer
    upstream: RecordingUpstream
    port: int
    ops_port: int
    edge_port: int

    @property
    def site(self) -> Path:
        return self.folder / "site"

    @property
    def roster(self) -> Path:
        return self.folder / "etc" / "roster.toml"

    @property
    def log(self) -> Path:
        return self.folder / "sidecar.log"

    @property
    def environment(self) -> dict[str, str]:
        return shell_environment(
            self.folder,
            APP_ENV="development",  # the team is on loopback, without TLS
            AUTH_PROXY_LISTEN=f"127.0.0.1:{self.port}",
            AUTH_PROXY_OPS_LISTEN=f"127.0.0.1:{self.ops_port}",
        )

    def own(self, block: str) -> str:
        """The block as this reader types it."""
        for told, meant in (
            ("/etc/sallyport", f"{self.folder}/etc"),
            ("/srv/site", str(self.site)),
            ("/tmp/sallyport-try", f"{self.folder}/try"),
            ("https://your-team.cloudflareaccess.com", self.issuer.team_domain),
            ("the-aud-tag", AUD),
            ("the-second-aud-tag", SECOND_AUD),
            ("http://127.0.0.1:3000", self.upstream.url),
            ("127.0.0.1:8080", f"127.0.0.1:{self.port}"),
            ("localhost:8000", f"localhost:{self.edge_port}"),
        ):
            block = block.replace(told, meant)
        return block

    async def types(self, block: str) -> str:
        """What a block that ends prints; it must end well."""
        done = await asyncio.to_thread(
            subprocess.run,
            ["bash", "-eu", "-c", self.own(block)],
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    @asynccontextmanager
    async def starts(self, block: str, *, ready: str = "/readyz") -> AsyncIterator[Standalone]:
        """The sidecar of a block that ends in `auth-proxy run`."""
        assert block.endswith("\nauth-proxy run\n")
        async with Standalone.running(
            self.own(block),
            self.environment,
            self.log,
            port=self.port,
            ops_port=self.ops_port,
            ready=ready,
        ) as sidecar:
            yield sidecar

    def token(self, who: Person = YOU, *, audience: str = AUD) -> str:
        return self.issuer.mint(who, audience=audience)

    @property
    def decisions(self) -> list[dict[str, object]]:
        lines = [json.loads(line) for line in self.log.read_text().splitlines() if line.startswith('{"')]
        return [line for line in lines if line.get("event") == "decision"]


@pytest.fixture
async def reader(tmp_path: Path, access_key: SigningKey) -> AsyncIterator[Reader]:
    async with access_team(access_key) as issuer, recording_upstream() as upstream:
        yield Reader(tmp_path, issuer, upstream, free_port(), free_port(), free_port())


async def refused(sidecar: Standalone, path: str, token: str | None, *, host: str = SITE) -> str:
    """The code of a refusal, which must be 403 and hold no byte of the site."""
    answer = await sidecar.ask(path, host=host, token=token)
    assert answer.status == 403
    assert b"seagreen" not in answer.body
    return str(json.loads(answer.body)["code"])


async def test_walk_through_a(reader: Reader) -> None:
    """R-007, R-160: the folder's walk-through, step by step, ends as the page says."""
    make, settings, run, curl, roster, run_again, deactivate = shell_blocks(
        "Walk-through A: a folder of files"
    )
    await reader.types(make)
    await reader.types(settings)
    async with reader.starts(run) as sidecar:
        past_cloudflare = await reader.types(curl)
        page = await sidecar.ask("/", host=SITE, token=reader.token(STRANGER))
        foreign_host = await sidecar.ask("/", host="other.example.com", token=reader.token())
    assert past_cloudflare.startswith("HTTP/1.1 403 ")
    assert "ACCESS_TOKEN_REQUIRED" in past_cloudflare
    assert "seagreen" not in past_cloudflare
    assert (page.status, page.body) == (200, (reader.site / "index.html").read_bytes())
    assert page.headers["Cache-Control"] == "private, no-cache"
    assert (foreign_host.status, foreign_host.text) == (404, "Not Found")

    await reader.types(roster)
    async with reader.starts(run_again) as sidecar:
        assert await refused(sidecar, "/", reader.token(STRANGER)) == "ENROLLMENT_REQUIRED"
        assert (await sidecar.ask("/", host=SITE, token=reader.token(COLLEAGUE))).status == 200
        await reader.types(deactivate)
        await sidecar.until_log_says('"reloaded"')
        assert await refused(sidecar, "/site.css", reader.token(COLLEAGUE)) == "ACCOUNT_DEACTIVATED"
        assert (await sidecar.ask("/", host=SITE, token=reader.token(YOU))).status == 200


async def test_what_the_folder_serves(reader: Reader) -> None:
    """R-160: ETag, 304, ranges, twins, redirects of folders and no way out, on one kept connection."""
    make, settings, run, *_ = shell_blocks("Walk-through A: a folder of files")
    await reader.types(make)
    await reader.types(settings)
    (reader.folder / "secret.txt").write_text("secret")
    (reader.site / "leak.txt").symlink_to(reader.folder / "secret.txt")
    (reader.site / ".env").write_text("secret")
    (reader.site / "site.css.gz").write_bytes(b"gzip-twin")
    token = reader.token()
    async with reader.starts(run) as sidecar:
        first = await sidecar.ask("/site.css", host=SITE, token=token)
        assert first.headers["Content-Type"] == "text/css"
        again = await sidecar.ask("/site.css", host=SITE, token=token, If_None_Match=first.headers["Etag"])
        assert (again.status, again.body) == (304, b"")
        part = await sidecar.ask("/site.css", host=SITE, token=token, Range="bytes=5-9")
        assert (part.status, part.body) == (206, first.body[5:10])
        assert (await sidecar.ask("/site.css", host=SITE, token=token, Range="bytes=999-")).status == 416
        other_version = {"Range": "bytes=5-9", "If_Range": '"another"'}
        assert (await sidecar.ask("/site.css", host=SITE, token=token, **other_version)).body == first.body
        never = "Sat, 21 Nov 99999999999999999999 09:52:25 GMT"
        for name in ("If_Modified_Since", "If_Unmodified_Since", "If_Range"):
            answer = await sidecar.ask("/site.css", host=SITE, token=token, **{name: never})
            assert (answer.status, json.loads(answer.body)["code"]) == (400, "BAD_REQUEST_SHAPE")
        twin = await sidecar.ask("/site.css", host=SITE, token=token, Accept_Encoding="gzip")
        assert (twin.headers["Content-Encoding"], twin.body) == ("gzip", b"gzip-twin")
        folder = await sidecar.ask("/guide?page=2", host=SITE, token=token)
        assert (folder.status, folder.headers["Location"]) == (308, "/guide/?page=2")
        assert "The guide" in (await sidecar.ask("/guide/", host=SITE, token=token)).text
        for missing in ("/leak.txt", "/.env", "/site.css/", "/nothing", "/guide/nothing.js"):
            answer = await sidecar.ask(missing, host=SITE, token=token)
            assert (answer.status, json.loads(answer.body)["code"]) == (404, "FILE_NOT_FOUND"), missing
        assert (await sidecar.ask("/", host=SITE, token=token, method="PUT")).status == 403  # no Origin
        changed = await sidecar.ask(
            "/", host=SITE, token=token, method="PUT", Origin="https://admin.example.com"
        )
        assert (changed.status, changed.headers["Allow"]) == (405, "GET, HEAD")
        assert await ways_out(sidecar.port, token) == {400}
        assert await connections_for(sidecar.port, token, requests=3) == 1
    assert "Unhandled" not in reader.log.read_text()


async def ways_out(port: int, token: str) -> set[int]:
    """The statuses of everything that is meant to lead out of the folder."""
    statuses = set()
    for path in (
        *("/../secret.txt", "/guide/../../secret.txt", "/%2e%2e/secret.txt", "/guide/..%2f..%2fsecret.txt"),
        *("/..%5csecret.txt", "/%252e%252e/secret.txt", "//secret.txt", "/secret.txt%00.css", "/./site.css"),
    ):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        head = (
            f"GET {path} HTTP/1.1\r\nHost: {SITE}\r\n"
            f"Cf-Access-Jwt-Assertion: {token}\r\nConnection: close\r\n\r\n"
        )
        writer.write(head.encode())
        answer = await reader.read()
        writer.close()
        assert b"secret" not in answer.partition(b"\r\n\r\n")[2]
        statuses.add(int(answer.split()[1]))
    return statuses


async def connections_for(port: int, token: str, *, requests: int) -> int:
    """How many connections a client opens that would like to keep one."""
    opened = 0

    async def count(*_: object) -> None:
        nonlocal opened
        opened += 1

    trace = aiohttp.TraceConfig()
    trace.on_connection_create_end.append(count)
    headers = {"Host": SITE, "Cf-Access-Jwt-Assertion": token}
    async with aiohttp.ClientSession(trace_configs=[trace]) as session:
        for _ in range(requests):
            async with session.get(f"http://127.0.0.1:{port}/", headers=headers) as answer:
                assert answer.status == 200
                await answer.read()
    return opened


async def test_a_single_page_application(reader: Reader) -> None:
    """R-007, R-160: with `spa_fallback` a path of the frontend's router is its page; a script is not."""
    make, settings, run, *_ = shell_blocks("Walk-through A: a folder of files")
    await reader.types(make)
    routes = f"""
        [[routes]]
        prefix = "/"
        target = "static:{reader.site}"
        spa_fallback = true
    """
    (reader.folder / "routes.toml").write_text(routes)
    await reader.types(settings)
    own = run.replace(
        "auth-proxy check", f"unset AUTH_PROXY_UPSTREAM; export AUTH_PROXY_CONFIG={reader.folder}/routes.toml"
    )
    async with reader.starts(own) as sidecar:
        deep = await sidecar.ask("/orders/7", host=SITE, token=reader.token())
        script = await sidecar.ask("/orders/app.js", host=SITE, token=reader.token())
        assert (deep.status, deep.body) == (200, (reader.site / "index.html").read_bytes())
        assert script.status == 404
        assert await refused(sidecar, "/orders/7", None) == "ACCESS_TOKEN_REQUIRED"


async def test_walk_through_b(reader: Reader) -> None:
    """R-007, R-172: the upstream gets one X-WEBAUTH-USER, the proven address, whatever a client sends."""
    program, settings, run, curl = shell_blocks("Walk-through B: a program that wants a header")
    await reader.types(program)
    await reader.types(settings)
    async with reader.starts(run) as sidecar:
        past_cloudflare = await reader.types(curl)
        assert "ACCESS_TOKEN_REQUIRED" in past_cloudflare
        assert await refused(sidecar, "/", reader.token(), host=GRAFANA) == "INVALID_ACCESS_TOKEN"
        second = reader.token(audience=SECOND_AUD)
        assert await refused(sidecar, "/", second, host=SITE) == "INVALID_ACCESS_TOKEN"
        assert not reader.upstream.raw

        token = reader.token(COLLEAGUE, audience=SECOND_AUD)
        for name in ("X-WEBAUTH-USER", "x-webauth-user", "X_WebAuth_User", "X.Webauth.User"):
            answer = await raw_get(sidecar.port, token, (name, "admin"), (name, "admin@example.com"))
            assert answer.startswith(b"HTTP/1.1 200 ")
        page = await sidecar.ask("/", host=SITE, token=reader.token())

    assert len(reader.upstream.received) == 4
    for request in reader.upstream.received:
        named = [value for name, value in request.headers if "webauth" in name.lower()]
        assert named == [COLLEAGUE.email]
        assert request.one("Host") == GRAFANA
        assert len(request.all("X-Internal-Identity")) == 1
        assert request.all("Cf-Access-Jwt-Assertion") == []
    assert "It works" in page.text


async def raw_get(port: int, token: str, *headers: tuple[str, str]) -> bytes:
    """A GET for Grafana with these headers as they are."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    lines = [
        *("GET /d/home?orgId=1 HTTP/1.1", f"Host: {GRAFANA}", f"Cf-Access-Jwt-Assertion: {token}"),
        *(f"{name}: {value}" for name, value in headers),
        "Connection: close",
    ]
    writer.write("\r\n".join(lines).encode() + b"\r\n\r\n")
    answer = await reader.read()
    writer.close()
    return answer


async def last_decision(reader: Reader, reason: str) -> dict[str, Any]:
    """The newest line of the log once it has this reason: a line follows its answer."""
    async with asyncio.timeout(20):
        while not reader.decisions or reader.decisions[-1]["reason"] != reason:
            await asyncio.sleep(0.02)
    return dict(reader.decisions[-1])


async def test_the_roster_file_as_the_page_tells(reader: Reader) -> None:
    """R-060, R-064: a new line counts, a broken file changes nothing and is told, `sub` pins a person."""
    make, settings, run, _, roster, *_ = shell_blocks("Walk-through A: a folder of files")
    for block in (make, settings, roster):
        await reader.types(block)
    imposter = Person("you", "Other", YOU.email, "another-subject", None, "")
    async with reader.starts(run) as sidecar:
        exchange = await sidecar.ask(
            "/api/access-sso", host=SITE, token=reader.token(), method="POST", Origin=f"https://{SITE}"
        )
        assert json.loads(exchange.body)["operator"]["id"] == YOU.sub
        assert (await last_decision(reader, "ok"))["operator"] == YOU.sub
        assert await refused(sidecar, "/", reader.token(imposter)) == "ENROLLMENT_REQUIRED"
        await last_decision(reader, "subject_changed")

        good = reader.roster.read_text()
        for times, broken in enumerate(("[[operators]", "n = " + "9" * 5000, "n = " + "[" * 5000), start=1):
            reader.roster.write_text(f"{good}\n{broken}\n")
            await sidecar.until_log_says("reload_refused", times=times)
            assert (await sidecar.ask("/", host=SITE, token=reader.token())).status == 200

        pinned = good.replace(
            'email = "you@example.com"\n', f'email = "{YOU.email}"\nsub = "another-subject"\n'
        )
        added = f'[[operators]]\nemail = "{STRANGER.email}"\nrole = "support"\n'
        reader.roster.write_text(f"{pinned}\n{added}")
        await sidecar.until_log_says('"reloaded"')
        assert (await sidecar.ask("/", host=SITE, token=reader.token(STRANGER))).status == 200
        assert (await sidecar.ask("/", host=SITE, token=reader.token(imposter))).status == 200
        assert await refused(sidecar, "/", reader.token(YOU)) == "ENROLLMENT_REQUIRED"


async def test_without_cloudflare(reader: Reader) -> None:
    """R-007, R-159: the stand-in of the clone fronts a sidecar of one's own, which judges its tokens."""
    settings, edge_block, run = shell_blocks("Without Cloudflare")
    await reader.types(settings)
    addresses = f" --listen 127.0.0.1:{reader.edge_port} --upstream http://127.0.0.1:{reader.port}"
    edge = await asyncio.create_subprocess_exec(
        *(
            "bash",
            "-eu",
            "-c",
            reader.own(edge_block).strip().replace("\npython", "\nexec python") + addresses,
        ),
        env=reader.environment,
        cwd=ROOT,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        async with reader.starts(run), aiohttp.ClientSession() as session:
            origin = f"http://localhost:{reader.edge_port}"
            async with session.get(f"{origin}/", headers={"Accept": "text/html"}) as chooser:
                assert "Ada Quill" in await chooser.text()
            choice = {"choice": "ada", "redirect_url": "/"}
            async with session.post(f"{origin}/cdn-cgi/access/login", data=choice) as page:
                assert (page.status, "<h1>It works</h1>" in await page.text()) == (200, True)
    finally:
        edge.terminate()
        await edge.wait()


async def test_the_development_gate_stays_on_this_machine(reader: Reader) -> None:
    """R-049, R-050: the gate that the page shows lets in without a token, and never starts in production."""
    section = PAGE.partition("**With the development gate.**")[2]
    told = section.partition("```text\n")[2].partition("```")[0]
    settings, _, run = shell_blocks("Without Cloudflare")
    await reader.types(settings)
    with (reader.folder / "try.env").open("a") as file:
        file.write(reader.own(told))
    async with reader.starts(run, ready="/livez") as sidecar:  # no stand-in runs that publishes keys
        await sidecar.until_log_says('"listener": "gate"')
        page = await sidecar.ask("/", host=f"127.0.0.1:{reader.port}")
        assert "It works" in page.text
        assert "opened_unready" not in sidecar.log.read_text()
    production = run.replace("auth-proxy run", "APP_ENV=production auth-proxy check || test $? = 2")
    await reader.types(production)
