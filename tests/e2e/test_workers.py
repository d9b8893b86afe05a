"""Several workers behind one address: the real processes, killed and stopped while clients ask."""

import asyncio
import contextlib
import os
import signal
import socket
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from auth_proxy.workers.processes import start_worker, worker_command
from deploy.demo.issuer import SigningKey
from service_kit.identity.keys import new_signing_key
from service_kit.settings import Listen
from service_kit.web.listening import open_listeners
from tests.fixtures.crews import (
    ANSWER,
    HOST,
    Ground,
    Load,
    RunningCrew,
    ask_strictly,
    by_worker,
    ground,
    is_alive,
    listening_inodes,
    samples,
)
from tests.fixtures.ports import free_port, takes_newcomers
from tests.fixtures.standalone import LOCAL, ROOT
from tests.fixtures.stopwatch import Stopwatch

pytestmark = [pytest.mark.stack, pytest.mark.timeout(90)]

GRANTED = {"outcome": "granted", "reason": "ok"}


@pytest.fixture
async def here(access_key: SigningKey, tmp_path: Path) -> AsyncIterator[Ground]:
    async with ground(access_key, tmp_path) as found:
        yield found


async def test_both_workers_answer_and_are_one_page(here: Ground) -> None:
    """Every sample says whose it is, the page is valid, and what the two granted is what was asked."""
    async with here.sidecar() as crew:
        for _ in range(40):
            assert await ask_strictly(crew.port, here.token) == 200
        pages = [await crew.whole_page() for _ in range(4)]

    granted = by_worker(pages[0], "auth_proxy_decisions_total", **GRANTED)
    assert set(granted) == {"0", "1"}
    assert min(granted.values()) > 0
    assert sum(granted.values()) == 40
    for page in pages:
        assert by_worker(page, "auth_proxy_worker_up") == {"0": 1, "1": 1}
        assert set(by_worker(page, "process_open_fds")) == {"0", "1"}
        assert all(dict(labels).get("worker") for series in samples(page).values() for labels in series)


async def test_one_worker_is_the_process_itself(here: Ground) -> None:
    """AUTH_PROXY_WORKERS=1: no supervisor, no label, no folder."""
    async with here.sidecar(AUTH_PROXY_WORKERS="1") as crew:
        assert await ask_strictly(crew.port, here.token) == 200
        page = await crew.page()
        assert crew.pids() == {}
        assert crew.crew_folders() == []

    assert "worker=" not in page
    assert "worker_up" not in page


async def test_a_worker_has_its_own_sockets_and_no_other(here: Ground) -> None:
    """Nothing leaks into a worker: not the sockets of the other, not the other's line to the supervisor."""
    async with here.sidecar() as crew:
        pids = crew.pids()
        first, second = (listening_inodes(pids[number]) for number in (0, 1))
        kept = listening_inodes(crew.process.pid)
        folders = crew.crew_folders()
        mode = folders[0].stat().st_mode & 0o777

    assert len(first) == len(second) == 2
    assert not first & second
    assert kept == first | second
    assert mode == 0o700
    assert len(folders) == 1


async def killed_under_load(here: Ground, crew: RunningCrew, load: Load) -> set[str]:
    """Kill the first worker while clients ask, and read the page until it is whole again; what it said."""
    states: set[str] = set()
    async with load.running(*["/"] * 6):
        await asyncio.sleep(1)
        os.kill(crew.pids()[0], signal.SIGKILL)
        # Each is taken by the worker that lives or waits for the successor, as a coin falls: so many that
        # not all wait.
        for page in await asyncio.gather(*(crew.page() for _ in range(24))):
            states.add(str(by_worker(page, "auth_proxy_worker_up")))
        while len(crew.lines("worker_started")) < 3 or (await crew.ready())[0] != 200:
            states.add(str(by_worker(await crew.page(), "auth_proxy_worker_up")))
            await asyncio.sleep(0.05)
        states.add(str(by_worker(await crew.whole_page(), "auth_proxy_worker_up")))
        async with asyncio.timeout(20):
            while load.answers[200] <= 100 or not (await granted_by(crew)).get("0"):
                await asyncio.sleep(0.05)
    return states


async def granted_by(crew: RunningCrew) -> dict[str, float]:
    """How many requests each worker has let pass."""
    return by_worker(await crew.page(), "auth_proxy_decisions_total", **GRANTED)


async def test_a_killed_worker_is_replaced_and_nobody_is_refused(here: Ground) -> None:
    """Requests of the other worker go on; those who connect meanwhile wait for the successor."""
    async with here.sidecar() as crew:
        load = Load([crew.port], here.token)
        states = await killed_under_load(here, crew, load)
        granted = await granted_by(crew)
        died = crew.lines("worker_died")

    assert load.refused == 0
    assert len(load.lost) <= 6, load.lost  # what the killed process was answering, one for each client
    assert set(load.answers) == {200}
    assert load.answers[200] > 100
    assert [(line["worker"], line["signal"]) for line in died] == [(0, "SIGKILL")]
    assert states >= {"{'0': 1.0, '1': 1.0}", "{'0': 0.0, '1': 1.0}"}
    assert granted["0"] > 0


async def keep_asking(
    crew: RunningCrew, token: str, over: asyncio.Event, served: Counter[int], number: int
) -> tuple[int, int]:
    """One connection, asked again and again: how many requests failed, and how many connections it took.

    `served` is told of every answer, under the number of this client.
    """
    failures = connections = 0

    async def connected(*_told: object) -> None:
        nonlocal connections
        connections += 1

    trace = aiohttp.TraceConfig()
    trace.on_connection_create_end.append(connected)
    headers = {"Host": HOST, "Cf-Access-Jwt-Assertion": token, "Origin": f"https://{HOST}"}
    connector = aiohttp.TCPConnector(limit=1)
    async with aiohttp.ClientSession(connector=connector, trace_configs=[trace]) as session:
        while not over.is_set():
            try:
                # A POST: the client library would send a GET again without a word.
                async with session.post(f"http://{LOCAL}:{crew.port}/", headers=headers) as answer:
                    assert (answer.status, await answer.read()) == (200, ANSWER)
                served[number] += 1
            except aiohttp.ClientError:
                failures += 1
            await asyncio.sleep(0.05)
    return failures, connections


async def test_keep_alive_connections_of_the_other_worker_do_not_notice(here: Ground) -> None:
    """Sixteen connections: those of the killed worker break once, and the others go on as they are."""
    async with here.sidecar() as crew:
        over, served = asyncio.Event(), Counter[int]()
        numbers = range(16)

        async def until_all_are_served(times: int) -> None:
            before = Counter(served)
            await crew.until(lambda: all(served[number] >= before[number] + times for number in numbers))

        clients = [
            asyncio.create_task(keep_asking(crew, here.token, over, served, number)) for number in numbers
        ]
        await until_all_are_served(3)
        os.kill(crew.pids()[1], signal.SIGKILL)
        await crew.until(lambda: len(crew.lines("worker_started")) == 3)
        await crew.until_ready()
        await until_all_are_served(3)
        over.set()
        ends = await asyncio.gather(*clients)

    assert {connections for _, connections in ends} == {1, 2}
    assert all(failures < connections for failures, connections in ends)


async def stops_under_load(
    here: Ground, crew: RunningCrew, load: Load
) -> tuple[int, dict[str, str], int, int]:
    """Stop it in the midst; the readiness then, the status of a slow request, the code of a websocket."""
    url = f"http://{LOCAL}:{crew.port}"
    headers = {"Host": HOST, "Cf-Access-Jwt-Assertion": here.token, "Origin": f"https://{HOST}"}
    async with load.running(*["/"] * 4), aiohttp.ClientSession() as session:
        websocket = await session.ws_connect(f"{url}/live", headers=headers)
        await websocket.send_str("here")
        assert await websocket.receive_str() == "here"
        await asyncio.sleep(0.3)
        crew.terminate()
        slow = asyncio.create_task(ask_strictly(crew.port, here.token, "/slow"))
        status, failing = await told_that_it_leaves(crew)
        await websocket.receive()
        answered = await slow
        assert await crew.process.wait() == 0
        # The process may be gone before any client asks again: they ask on until they are refused.
        await crew.until(lambda: bool(load.lost))
    return status, failing, answered, int(websocket.close_code or 0)


async def told_that_it_leaves(crew: RunningCrew) -> tuple[int, dict[str, str]]:
    """The first readiness that knows of the stop; with several workers that of all of them."""
    several = crew.environment["AUTH_PROXY_WORKERS"] != "1"
    wanted = {"staying", "workers"} if several else {"staying"}
    async with asyncio.timeout(20):
        while not wanted <= (answer := await crew.ready())[1].keys():
            await asyncio.sleep(0.02)
    return answer


@pytest.mark.parametrize("workers", ["1", "2"])
async def test_a_stop_under_load_loses_nothing(here: Ground, workers: str) -> None:
    """Architecture 9: readiness fails, then nobody is taken in; who is in finishes, websockets get 1001."""
    async with here.sidecar(AUTH_PROXY_WORKERS=workers, AUTH_PROXY_LAME_DUCK_SECONDS="2.5") as crew:
        load = Load([crew.port], here.token)
        status, failing, answered, code = await stops_under_load(here, crew, load)
        folders = crew.crew_folders()

    assert status == 503
    assert failing["staying"] == "the process stops"
    assert ("workers" in failing) is (workers == "2")
    assert answered == 200
    assert code == 1001
    assert set(load.lost) == {"every sidecar refused the connection"}
    assert set(load.answers) == {200}
    assert folders == []


@pytest.mark.parametrize("all_leave", [True, False])
async def test_the_door_stays_open_for_a_successor_alone(
    here: Ground, tmp_path: Path, *, all_leave: bool
) -> None:
    """A worker that ends alone leaves its sockets to the next one; when all end, nobody may begin to connect.

    Who connected then would be reset with its request on the way: with two workers it was one request in
    some thousand at each stop.
    """
    port = free_port()
    gate = open_listeners("gate", Listen(LOCAL, port))
    ops = open_listeners("ops", Listen(LOCAL, free_port()))
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), **here.settings}
    worker = start_worker(
        worker_command(),
        environment,
        number=0,
        workers=1,
        gate=gate.sets[0],
        ops=ops.sets[0],
        folder=str(tmp_path),
    )
    try:
        assert await worker.started()
        assert await ask_strictly(port, here.token) == 200
        if all_leave:
            worker.tell_that_all_leave()
        worker.send(signal.SIGTERM)
        assert await worker.ended() == 0

        assert takes_newcomers(port) is not all_leave
    finally:
        worker.send(signal.SIGKILL)
        gate.close()
        ops.close()


async def test_a_second_signal_ends_all_at_once(here: Ground) -> None:
    """Whoever does not want to wait for the drain asks again; every worker is gone, and so is the folder."""
    async with here.sidecar(AUTH_PROXY_LAME_DUCK_SECONDS="60") as crew:
        pids = crew.pids().values()
        crew.terminate()
        crew.terminate()  # a service manager tells parent and children, and some tell twice
        await crew.until(lambda: bool(crew.lines("signal_passed_on")))
        await asyncio.sleep(1.3)
        assert crew.process.returncode is None
        crew.terminate()
        async with asyncio.timeout(20):
            status = await crew.process.wait()
        folders = crew.crew_folders()

    assert status == 1
    assert not any(map(is_alive, pids))
    assert folders == []


async def test_a_terminals_interrupt_lets_the_workers_drain(here: Ground) -> None:
    """Ctrl-C reaches the whole process group: the workers leave it to the supervisor."""
    async with here.sidecar() as crew:
        slow = asyncio.create_task(ask_strictly(crew.port, here.token, "/slow"))
        await asyncio.sleep(0.3)
        for pid in (*crew.pids().values(), crew.process.pid):
            os.kill(pid, signal.SIGINT)
        assert await slow == 200
        status = await crew.process.wait()

    assert status == 0
    assert crew.lines("worker_died") == []


async def test_a_reload_reaches_every_worker(here: Ground) -> None:
    """SIGHUP to the supervisor: each worker publishes the new signing key."""
    keys = here.folder / "keys"
    keys.mkdir()
    new_signing_key(keys / "1.pem")
    async with here.sidecar(INTERNAL_SIGNING_KEY_FILE=str(keys)) as crew:
        new_signing_key(keys / "2.pem")
        crew.process.send_signal(signal.SIGHUP)
        await crew.until(lambda: len(crew.lines("reload_requested")) == 2, seconds=20)
        published = by_worker(await crew.whole_page(), "auth_proxy_signing_keys")
        workers = {line["worker"] for line in crew.lines("reload_requested")}

    assert published == {"0": 2, "1": 2}
    assert workers == {0, 1}


async def test_workers_do_not_outlive_their_supervisor(here: Ground) -> None:
    """Also when it is killed: within two seconds they are gone, the port is free, nothing is left behind."""
    async with here.sidecar(AUTH_PROXY_LAME_DUCK_SECONDS="60") as crew:
        pids = crew.pids().values()
        slow = asyncio.create_task(ask_strictly(crew.port, here.token, "/slow"))
        await asyncio.sleep(0.3)
        crew.process.kill()
        started = Stopwatch()
        await crew.until(lambda: not any(map(is_alive, pids)))
        took, answered = started.awake, 200
        with contextlib.suppress(OSError):  # only where the machine stood still, so that its time was over
            answered = await slow
        folders = crew.crew_folders()
        async with here.sidecar(ports=(crew.port, crew.ops_port)) as successor:
            assert await ask_strictly(successor.port, here.token) == 200

    assert took < 8
    assert answered == 200
    assert folders == []


@pytest.mark.parametrize("holder", ["plain", "sharing", "sidecar"])
async def test_a_taken_port_is_not_joined(here: Ground, holder: str) -> None:
    """SO_REUSEPORT would let it: but who listens there keeps all connections, and the start is refused."""
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if holder == "sharing":
            taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        taken.bind((LOCAL, 0))
        ports = (taken.getsockname()[1], free_port())
        if holder == "sidecar":
            taken.close()
            ports = (free_port(), free_port())
            async with (
                here.sidecar(ports=ports) as first,
                here.sidecar(ready=False, ports=(ports[0], free_port())) as second,
            ):
                status = await second.process.wait()
                assert await ask_strictly(first.port, here.token) == 200
        else:
            taken.listen()
            async with here.sidecar(ready=False, ports=ports) as second:
                status = await second.process.wait()
    log = second.log.read_text().splitlines()

    assert status == 2
    assert f"auth-proxy: gate: cannot listen on {LOCAL}:{ports[0]}: Address already in use" in log
    assert "Traceback" not in second.log.read_text()
    assert second.crew_folders() == [] or holder == "sidecar"


async def test_a_wrong_configuration_of_a_part_stops_all(here: Ground) -> None:
    """What only a worker finds, a key file that is none, is said and ends the start with status 2."""
    (here.folder / "identity.pem").write_text("no key")
    async with here.sidecar(ready=False) as crew:
        async with asyncio.timeout(20):
            status = await crew.process.wait()
        log = crew.log.read_text()

    assert status == 2
    assert "identity.pem" in log
    assert "auth-proxy: the configuration is refused" in log
    assert "Traceback" not in log


async def test_workers_share_a_unix_socket(here: Ground, tmp_path: Path) -> None:
    """A tunnel on the same machine: both accept from one socket, whose file goes with them."""
    path = tmp_path / "gate.sock"
    for _ in range(2):
        async with here.sidecar(AUTH_PROXY_LISTEN=f"unix:{path}") as crew:
            headers = {"Host": HOST, "Cf-Access-Jwt-Assertion": here.token, "Connection": "close"}

            async def asked(headers: dict[str, str] = headers) -> int:
                async with (
                    aiohttp.ClientSession(connector=aiohttp.UnixConnector(str(path))) as session,
                    session.get("http://localhost/slow", headers=headers) as answer,
                ):
                    return answer.status

            assert set(await asyncio.gather(*(asked() for _ in range(8)))) == {200}
            leaving = [asyncio.create_task(asked()) for _ in range(4)]
            await asyncio.sleep(0.2)
            crew.terminate()
            assert set(await asyncio.gather(*leaving)) == {200}
            assert await crew.process.wait() == 0

        assert not path.exists()
