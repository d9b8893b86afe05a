"""The Dockerfile: what it copies is there, what it starts is installed, and the images hold nothing else."""

import json
import re
import socket
import subprocess
import sys
import threading
from dataclasses import dataclass
from importlib import metadata

import pytest
from prometheus_client import CollectorRegistry

from service_kit.web.ops import ops_app
from tests.deploy.shipped import DEPLOY, PROCESSES, ROOT, commands, ports
from tests.fixtures.ports import free_port

DOCKER = DEPLOY / "docker"
HEALTHCHECK = DOCKER / "healthcheck.py"


@dataclass(frozen=True)
class Instruction:
    """One line of a Dockerfile, continuations joined."""

    word: str
    rest: str

    @property
    def flags(self) -> dict[str, str]:
        return dict(re.findall(r"--(\w+)=(\S+)", self.rest))

    @property
    def operands(self) -> list[str]:
        return [part for part in self.rest.split() if not part.startswith("--")]


def instructions() -> list[Instruction]:
    text = (DOCKER / "Dockerfile").read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    joined = re.sub(r"\\\n\s*", "", "\n".join(lines))
    return [Instruction(*line.split(None, 1)) for line in joined.splitlines()]


def stages() -> dict[str, list[Instruction]]:
    """The instructions of each stage, by its name."""
    found: dict[str, list[Instruction]] = {}
    for instruction in instructions():
        if instruction.word == "FROM":
            found[instruction.operands[-1]] = []
        if found:
            found[list(found)[-1]].append(instruction)
    return found


def lineage(stage: str) -> list[Instruction]:
    """The instructions of a final image, those of the stages that it stands on first."""
    own = stages()[stage]
    below = own[0].operands[0]
    return [*(lineage(below) if below in stages() else []), *own[1:]]


def locked(name: str) -> dict[str, str]:
    """The entries of a lock file, each with its hashes."""
    text = (ROOT / name).read_text(encoding="utf-8")
    entries = (entry.split("==", 1) for entry in re.split(r"\n(?=[a-z0-9])", text) if "==" in entry)
    return {package: re.sub(r"\n +#.*", "", rest).strip() for package, rest in entries}


def test_only_words_that_are_meant_and_a_base_that_is_pinned() -> None:
    """No ADD, and the base is a full version: an image of today is the image of tomorrow."""
    words = {instruction.word for instruction in instructions()}
    (base,) = [i.rest for i in instructions() if i.word == "ARG"]

    assert "ADD" not in words
    assert re.fullmatch(r"PYTHON_IMAGE=python:3\.\d+\.\d+-slim-\w+", base)
    foreign = {s[0].operands[0] for s in stages().values()} - set(stages())
    assert foreign == {"${PYTHON_IMAGE}"}


def test_what_is_copied_is_there_and_passes_the_ignore_file() -> None:
    """Every source of a COPY is in the checkout, let through by .dockerignore, or in a stage that exists."""
    ignore = (DOCKER / "Dockerfile.dockerignore").read_text(encoding="utf-8").splitlines()
    let_in = {line[1:] for line in ignore if line.startswith("!")}

    assert ignore[1] == "*"
    for copy in (i for i in instructions() if i.word == "COPY"):
        if "from" in copy.flags:
            assert copy.flags["from"] in stages()
            continue
        for source in copy.operands[:-1]:
            assert (ROOT / source).exists(), source
            assert source in let_in, source


def test_nothing_is_installed_without_a_hash() -> None:
    """Each pip install asks for hashes and wheels alone, except for the wheel that was just built."""
    (*_, runs) = ["\n".join(i.rest for i in instructions() if i.word == "RUN")]
    installs = re.findall(r"pip (?:--python \S+ )?install ([^&]*)", runs)

    assert len(installs) == 3
    hashed = [words for words in installs if "--require-hashes" in words and "--only-binary=:all:" in words]
    assert len(hashed) == 2
    (own,) = [words for words in installs if words not in hashed]
    assert "--no-index --no-deps /wheel/" in own


def test_what_builds_is_locked_as_for_developers() -> None:
    """The builder's lock is a part of requirements-dev.lock, and has all that hatchling asks for."""
    build = locked("deploy/docker/build-requirements.lock")
    dev = locked("requirements-dev.lock")

    assert build == {package: dev[package] for package in build}
    wanted = {"hatchling"}
    for requirement in metadata.requires("hatchling") or ():
        if ";" not in requirement:
            wanted.add(re.split(r"[<>=!~ ]", requirement)[0])
    assert set(build) == wanted


@pytest.mark.parametrize("name", PROCESSES)
def test_each_image_starts_its_command_as_nobody(name: str) -> None:
    """A final image runs an installed command as a numeric user that is not root, with a health check."""
    image = lineage(name)
    said = {i.word: i.rest for i in image}  # the last one of each word counts

    assert re.fullmatch(r"[1-9]\d{3,}:[1-9]\d{3,}", said["USER"])
    assert json.loads(said["ENTRYPOINT"]) == [name]
    assert name in commands()
    assert json.loads(said["CMD"]) == ["run"]
    assert {int(port) for port in said["EXPOSE"].split()} == set(ports(PROCESSES[name].settings).values())
    after_user = image[[i.word for i in image].index("USER") :]
    assert not [i for i in after_user if i.word in {"RUN", "COPY"}]


@pytest.mark.parametrize("name", PROCESSES)
def test_the_health_check_asks_this_process(name: str) -> None:
    """It asks the process's own operations listener, by a path that is there, without curl."""
    said = {i.word: i.rest for i in lineage(name)}
    words = json.loads(said["HEALTHCHECK"].split("CMD ", 1)[1])
    paths = {resource.canonical for resource in ops_app(CollectorRegistry(), []).router.resources()}

    assert words[:2] == ["python", "/opt/sallyport/bin/healthcheck.py"]
    assert words[2] in PROCESSES[name].variables
    assert words[2].endswith("_OPS_LISTEN")
    assert words[3] == "/livez"
    assert words[3] in paths


def test_the_final_image_has_nothing_that_installs() -> None:
    """The command pip is taken out of the base, and the virtual environment never had one."""
    final = "\n".join(i.rest for i in stages()["runtime"] if i.word == "RUN")
    build = "\n".join(i.rest for i in stages()["build"] if i.word == "RUN")

    assert re.search(r"pip uninstall .*wheel setuptools pip", final)
    assert "python -m venv --without-pip /opt/sallyport" in build
    assert "apt-get" not in final + build


@pytest.fixture
def answering() -> tuple[socket.socket, str]:
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen()
    return listener, f"0.0.0.0:{listener.getsockname()[1]}"


@pytest.mark.parametrize(("answer", "status"), [(b"200 OK", 0), (b"503 No", 1), (b"", 1)])
def test_the_health_check_tells_200_from_everything_else(
    answering: tuple[socket.socket, str], answer: bytes, status: int
) -> None:
    """Its exit status is 0 for 200 and 1 for 503 or nothing; 0.0.0.0 is asked on loopback."""
    listener, address = answering
    asked: list[bytes] = []

    def serve() -> None:
        with listener, listener.accept()[0] as connection:
            asked.append(connection.recv(1024))
            connection.sendall(b"HTTP/1.1 " + answer + b"\r\n\r\n" if answer else b"")

    server = threading.Thread(target=serve)
    server.start()
    found = run_healthcheck(address)
    server.join()

    assert found == status
    assert asked[0].startswith(b"GET /readyz HTTP/1.1\r\nHost: ")


def test_the_health_check_of_a_process_that_is_away() -> None:
    """Nobody listening is exit status 1, not a trace."""
    assert run_healthcheck(f"127.0.0.1:{free_port()}") == 1


def run_healthcheck(address: str) -> int:
    done = subprocess.run(
        [sys.executable, str(HEALTHCHECK), "AUTH_PROXY_OPS_LISTEN", "/readyz"],
        env={"AUTH_PROXY_OPS_LISTEN": address},
        capture_output=True,
        check=False,
        timeout=30,
    )
    assert not done.stderr, done.stderr
    return done.returncode


def test_the_health_check_knows_the_default_ports() -> None:
    """Without the variable it asks where the process listens by default."""
    scope: dict[str, dict[str, int]] = {}
    source = HEALTHCHECK.read_text(encoding="utf-8")
    exec(compile(source.split("_SECONDS")[0], str(HEALTHCHECK), "exec"), scope)

    assert set(scope["PORTS"].values()) == {ports(p.settings)["ops_listen"] for p in PROCESSES.values()}
