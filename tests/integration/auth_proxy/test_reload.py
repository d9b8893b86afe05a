"""The route file changes while the sidecar runs: good versions are in force at once, broken ones never."""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from deploy.demo.issuer import SigningKey
from service_kit.identity.model import Role
from tests.fakes.recording_upstream import RecordingUpstream, recording_upstream
from tests.fixtures.sidecar import HOST, SidecarUnderTest, person, sidecar_under_test
from tests.fixtures.websockets import echo_upstream, gauge, open_websocket, until
from tests.integration.auth_proxy.scripted_upstream import conversation, scripted

OTHER_AUD = "b" * 64


def routes(**targets: str) -> str:
    """A file with one route for each name: `app="http://…"` is /app; more lines follow a semicolon."""
    tables = []
    for name, target in targets.items():
        url, *more = target.split(";")
        tables.append("\n".join(("[[routes]]", f'prefix = "/{name}"', f'target = "{url}"', *more)))
    return "\n".join(tables) + "\n"


@dataclass
class Reloaded:
    """A sidecar, its route file, and one upstream to lead to."""

    sidecar: SidecarUnderTest
    path: Path
    own: RecordingUpstream

    def write(self, text: str) -> None:
        """As careful tools write: a new file under the old name."""
        fresh = self.path.with_suffix(".new")
        fresh.write_text(text, encoding="utf-8")
        fresh.replace(self.path)

    def put(self, text: str) -> None:
        """Write, and say so with the signal's hand."""
        self.write(text)
        self.sidecar.sidecar.reload()

    async def status(self, path: str, role: Role = Role.SUPER_ADMIN) -> int:
        return (await self.sidecar.get(path, token=self.sidecar.token(person(role)))).status

    @property
    def refused(self) -> float:
        name = "auth_proxy_reloads_refused_total"
        return self.sidecar.registry.get_sample_value(name, {"what": "routes"}) or 0.0

    async def until_status(self, path: str, status: int, seconds: float = 20) -> None:
        async with asyncio.timeout(seconds):
            while await self.status(path) != status:
                await asyncio.sleep(0.05)


@asynccontextmanager
async def reloaded(
    key: SigningKey, folder: Path, text: str = "", path: Path | None = None, **settings: str
) -> AsyncIterator[Reloaded]:
    async with recording_upstream() as own:
        if path is None:
            path = folder / "auth_proxy.toml"
            path.write_text(text or routes(app=own.url), encoding="utf-8")
        # Without a frontend at `/`, so that a path without a route is one.
        given = {"AUTH_PROXY_UPSTREAM": "", **settings}
        async with sidecar_under_test(key, folder, AUTH_PROXY_CONFIG=str(path), **given) as sidecar:
            yield Reloaded(sidecar, path, own)


@pytest.fixture
async def running(access_key: SigningKey, tmp_path: Path) -> AsyncIterator[Reloaded]:
    """A sidecar whose file has one route, /app."""
    async with reloaded(access_key, tmp_path) as found:
        yield found


async def test_a_route_comes_and_another_goes(running: Reloaded, capsys: pytest.CaptureFixture[str]) -> None:
    """R-003, R-007: within a second, without a signal; what has gone is 404, and the log names both."""
    assert (await running.status("/app"), await running.status("/new")) == (200, 404)

    running.write(routes(new=running.own.url))
    await running.until_status("/new", 200)

    assert await running.status("/app") == 404
    told = capsys.readouterr().out
    assert "routes_reloaded" in told
    assert "added=['/new']" in told
    assert "removed=['/app']" in told


async def test_a_permission_counts_from_the_next_request(running: Reloaded) -> None:
    """R-016: the requirement of the new file decides, also over tokens that were proven before."""
    assert await running.status("/app", Role.SUPPORT) == 200
    running.put(routes(app=f'{running.own.url};roles = ["security"]'))

    assert await running.status("/app", Role.SUPPORT) == 403
    assert await running.status("/app", Role.SECURITY) == 200


async def test_a_target_moves_to_another_server(running: Reloaded) -> None:
    """R-007: the next request goes to the new server and to no other."""
    async with recording_upstream() as moved:
        await running.status("/app")
        running.put(routes(app=moved.url))
        await running.status("/app")

        assert (len(running.own.received), len(moved.received)) == (1, 1)


async def test_the_connections_of_an_unchanged_server_stay(running: Reloaded) -> None:
    """ADR 0016: a plan holds no connection, so that a reload makes none anew."""
    await running.status("/app")
    for name in ("a", "b", "c"):
        running.put(routes(app=running.own.url, **{name: running.own.url}))
        assert await running.status("/app") == 200

    assert running.own.connections == 1


BROKEN = (
    "[[routes",
    '[[routes]]\nprefix = "/app"\ntarget = "http://user:hunter2@127.0.0.1"\n',
    '[[routes]]\nprefix = "/app"\ntarget = "static:/not/there"\n',
    '[[routes]]\nprefix = "/manage"\ntarget = "http://127.0.0.1:1"\n',
    '[hosts."elsewhere.example.com"]\naudiences = ["x"]\n',
    '[[routes]]\nhost = "elsewhere.example.com"\nprefix = "/app"\ntarget = "http://127.0.0.1:1"\n',
    '[[routes]]\nprefix = "/app"\ntarget = ["http://127.0.0.1:1", "http://127.0.0.1:1"]\n',
)


@pytest.mark.parametrize("broken", BROKEN)
async def test_a_broken_file_changes_nothing_and_is_told_of(
    running: Reloaded, capsys: pytest.CaptureFixture[str], broken: str
) -> None:
    """R-173: what a start would refuse is refused as a whole, by place, without a value; then it heals."""
    running.put(broken)
    await asyncio.sleep(1)  # several looks: it is told of once

    assert await running.status("/app") == 200
    assert (running.refused, gauge(running.sidecar, "config_stale")) == (1, 1)
    told = capsys.readouterr().out
    assert told.count("reload_refused") == 1
    assert "AUTH_PROXY_CONFIG" in told
    assert "hunter2" not in told
    assert "the last good one serves" in (await ready(running))

    running.put(routes(app=running.own.url))
    assert gauge(running.sidecar, "config_stale") == 0
    assert "as in the file" in (await ready(running))


async def ready(running: Reloaded) -> str:
    reader, writer = await asyncio.open_connection("127.0.0.1", running.sidecar.ops_port)
    writer.write(b"GET /readyz HTTP/1.0\r\nHost: x\r\n\r\n")
    answer = (await reader.read()).decode()
    writer.close()
    assert answer.startswith("HTTP/1.0 200"), answer
    return answer


async def test_a_folder_that_comes_later_heals_the_file(running: Reloaded, tmp_path: Path) -> None:
    """What was refused for something beside the file is tried again by itself."""
    site = tmp_path / "site"
    running.put(routes(site=f"static:{site}"))
    assert await running.status("/site/") == 404
    site.mkdir()
    (site / "index.html").write_text("<!doctype html>", encoding="utf-8")

    await running.until_status("/app", 404)
    assert gauge(running.sidecar, "config_stale") == 0


async def test_a_file_that_is_rewritten_in_place(running: Reloaded) -> None:
    """The file may be written over; one that is still being written is not read by itself."""
    whole = routes(app=f'{running.own.url};roles = ["security"]', new=running.own.url)
    cut = whole.index("roles")
    with running.path.open("w", encoding="utf-8") as file:
        file.write(whole[:cut])  # a good file, and it would let everybody in
        file.flush()
        await asyncio.sleep(0.2)
        file.write(whole[cut:])
    await running.until_status("/new", 200)

    assert await running.status("/app", Role.SUPPORT) == 403


async def test_a_mounted_config_map_is_followed(access_key: SigningKey, tmp_path: Path) -> None:
    """Kubernetes swaps the link ..data under the file's own link, and neither of its names changes."""
    async with recording_upstream() as own:
        mount = tmp_path / "mount"
        for name, text in (("..v1", routes(app=own.url)), ("..v2", routes(new=own.url))):
            (mount / name).mkdir(parents=True)
            (mount / name / "routes.toml").write_text(text, encoding="utf-8")
        (mount / "..data").symlink_to("..v1")
        (mount / "routes.toml").symlink_to("..data/routes.toml")
        async with reloaded(access_key, tmp_path, path=mount / "routes.toml") as running:
            assert await running.status("/app") == 200
            (mount / "..tmp").symlink_to("..v2")
            (mount / "..tmp").replace(mount / "..data")
            await running.until_status("/new", 200)

            assert await running.status("/app") == 404


async def test_a_file_that_is_gone_for_a_while(running: Reloaded) -> None:
    """R-173: no file is a broken one; the same file back is no more stale."""
    aside = running.path.with_suffix(".aside")
    running.path.rename(aside)
    running.sidecar.sidecar.reload()
    assert (await running.status("/app"), running.refused) == (200, 1)
    aside.rename(running.path)
    await until(lambda: gauge(running.sidecar, "config_stale") == 0)

    assert await running.status("/app") == 200


async def test_two_reloads_in_quick_succession(running: Reloaded) -> None:
    """Same size, same inode, same tick of the clock: a signal reads the file whatever it looks like."""
    for name in ("one", "two", "one", "two"):
        running.path.write_text(routes(**{name: running.own.url}), encoding="utf-8")
        running.sidecar.sidecar.reload()
        assert await running.status(f"/{name}") == 200

    assert await running.status("/one") == 404


async def test_a_websocket_ends_with_its_route(running: Reloaded) -> None:
    """R-064: 4403 for a route that is gone, not before; one whose route is only written anew stays."""
    async with echo_upstream() as upstream:
        live = f"{upstream.url};websocket = true"
        running.put(routes(live=live, other=live))
        going = await open_websocket(running.sidecar)
        staying = await open_websocket(running.sidecar, target="/other")
        running.put(routes(live=live, other=f"{live};max_body = 7"))
        await asyncio.sleep(0.8)
        going.send(1, b"still here")
        assert (await going.receive())[1] == b"still here"

        running.put(routes(other=live))
        assert (await going.closed())[0] == 4403
        staying.send(1, b"still here")
        assert (await staying.receive())[1] == b"still here"
        running.put(routes(other=upstream.url))  # a new upgrade would be refused
        assert (await staying.closed())[0] == 4403


async def test_a_websocket_ends_with_its_permission(running: Reloaded) -> None:
    """R-064: a stricter requirement in the file counts for what is open, too."""
    async with echo_upstream() as upstream:
        live = f"{upstream.url};websocket = true"
        running.put(routes(live=live))
        socket = await open_websocket(running.sidecar, token=running.sidecar.token(person(Role.SUPPORT)))
        running.put(routes(live=f'{live};roles = ["security"]'))

        assert (await socket.closed())[0] == 4403


async def test_a_websocket_ends_when_its_host_takes_other_tokens(running: Reloaded) -> None:
    """R-014, R-064: a token for an application that the host no longer takes keeps nothing open."""
    async with echo_upstream() as upstream:
        live = routes(live=f"{upstream.url};websocket = true")
        running.put(live)
        socket = await open_websocket(running.sidecar)
        running.put(f'{live}\n[hosts."{HOST}"]\naudiences = ["{OTHER_AUD}"]\n')

        assert (await socket.closed())[0] == 4403
        other = await open_websocket(running.sidecar, token=running.sidecar.token(audience=OTHER_AUD))
        await asyncio.sleep(0.8)
        other.send(1, b"mine")
        assert (await other.receive())[1] == b"mine"
        other.abort()


async def test_a_download_breaks_off_visibly(running: Reloaded) -> None:
    """R-064: half of a body never looks whole, when its route is taken out of the file."""

    async def endless(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        for _ in range(200):
            writer.write(b"4\r\ntick\r\n")
            await writer.drain()
            await asyncio.sleep(0.05)
        writer.write(b"0\r\n\r\n")

    async with scripted(endless) as url:
        running.put(routes(log=url))
        lines = ("GET /log HTTP/1.1", f"Host: {HOST}", f"Cf-Access-Jwt-Assertion: {running.sidecar.token()}")
        download = asyncio.create_task(conversation(running.sidecar, "\r\n".join((*lines, "", "")).encode()))
        await asyncio.sleep(0.8)
        assert not download.done()
        running.put(routes(app=running.own.url))
        received = await asyncio.wait_for(download, 20)

        body = received.partition(b"\r\n\r\n")[2]  # an id in the head may end like a last chunk
        assert b"tick" in body
        assert b"\r\n0\r\n\r\n" not in body


async def test_reloads_under_load_lose_no_request(running: Reloaded) -> None:
    """ADR 0016: 200 reloads while four clients ask; every answer is right, no task or connection is left."""
    token = running.sidecar.token()
    stop = asyncio.Event()
    statuses: list[int] = []

    async def ask() -> None:
        while not stop.is_set():
            statuses.append((await running.sidecar.get("/app/x", token=token)).status)

    await running.status("/app")
    tasks_before = len(asyncio.all_tasks())
    clients = [asyncio.create_task(ask()) for _ in range(4)]
    for number in range(200):
        running.put(routes(app=running.own.url, **{f"r{number}": running.own.url}))
        await asyncio.sleep(0.002)
    stop.set()
    await asyncio.gather(*clients)
    await asyncio.sleep(0.2)

    assert len(statuses) > 50
    assert set(statuses) == {200}
    assert (await running.status("/r199"), await running.status("/r198")) == (200, 404)
    assert running.own.connections <= 8
    assert len(asyncio.all_tasks()) <= tasks_before + 8


@pytest.mark.parametrize("seed", range(4))
async def test_any_sequence_leaves_the_last_good_one(running: Reloaded, seed: int) -> None:
    """R-173: whatever comes, whatever is broken in between, the last good file is the one in force."""
    letters = random.Random(seed).randbytes(40)
    good, refused = "app", 0
    for number, letter in enumerate(letters):
        if letter % 3:
            good = f"v{number}"
            running.put(routes(**{good: running.own.url}))
        else:
            running.put(BROKEN[letter % len(BROKEN)])
            refused += 1
        assert await running.status(f"/{good}") == 200, list(letters)
        assert running.refused == refused
        assert gauge(running.sidecar, "config_stale") == (0 if letter % 3 else 1)
