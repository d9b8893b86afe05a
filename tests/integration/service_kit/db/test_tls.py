"""A database that must prove itself hears nothing before it has: real TLS, a stand-in's answers."""

import contextlib
import datetime as dt
import ipaddress
import socket
import ssl
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from service_kit.db.engine import DatabaseUrlError, parse_database_url
from service_kit.db.session import Database
from service_kit.errors import UnavailableError

NOW = dt.datetime.now(dt.UTC)
DAY = dt.timedelta(days=1)


@dataclass(frozen=True)
class Issued:
    """A self-signed certificate, its own root, for an address."""

    certificate: Path
    key: Path


def issue(folder: Path, name: str, address: str) -> Issued:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(NOW - DAY)
        .not_valid_after(NOW + DAY)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(address))]), critical=False
        )
        .sign(key, hashes.SHA256())
    )
    issued = Issued(folder / f"{name}.pem", folder / f"{name}.key")
    issued.certificate.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    issued.key.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    return issued


@dataclass
class StandIn:
    """Answers PostgreSQL's SSLRequest and keeps what it is told afterwards."""

    listener: socket.socket
    shown: Issued | None
    heard: list[bytes] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"postgresql://alice@127.0.0.1:{self.listener.getsockname()[1]}/bank"

    def serve(self) -> None:
        with contextlib.suppress(OSError):  # closed: the test is over
            while True:
                connection, _ = self.listener.accept()
                with connection, contextlib.suppress(OSError):
                    self._answer(connection)

    def _answer(self, connection: socket.socket) -> None:
        connection.settimeout(20)
        asked = connection.recv(8)
        if asked[4:] != b"\x04\xd2\x16\x2f":  # no SSLRequest: spoken to in the clear
            self.heard.append(asked)
            return
        if self.shown is None:
            connection.sendall(b"N")
            self.heard.append(connection.recv(1024))
            return
        connection.sendall(b"S")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.shown.certificate, self.shown.key)
        with context.wrap_socket(connection, server_side=True) as protected:
            self.heard.append(protected.recv(1024))


@contextlib.contextmanager
def stand_in(shown: Issued | None) -> Iterator[StandIn]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = StandIn(listener, shown)
        thread = threading.Thread(target=server.serve)
        thread.start()
        try:
            yield server
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join(45)


async def ask(url: str) -> None:
    """Every stand-in hangs up in the end; what counts is what it heard before."""
    database = Database.open(url)
    try:
        with pytest.raises(UnavailableError):
            await database.ping()
    finally:
        await database.close()


def told(server: StandIn) -> bool:
    """Whether the name of the user was given away."""
    return any(b"alice" in heard for heard in server.heard)


async def test_a_database_that_proves_itself_is_spoken_to(tmp_path: Path) -> None:
    """R-136: `sslmode=verify-full` accepts the server whose certificate is for this address."""
    good = issue(tmp_path, "good", "127.0.0.1")
    with stand_in(good) as server:
        await ask(f"{server.url}?sslmode=verify-full&sslrootcert={good.certificate}")

    assert told(server)


@pytest.mark.parametrize("mode", ["verify-full", "verify-ca"])
async def test_a_stranger_between_us_hears_nothing(tmp_path: Path, mode: str) -> None:
    """R-136: not even the user's name goes to a server that another root vouches for."""
    good, forged = issue(tmp_path, "good", "127.0.0.1"), issue(tmp_path, "forged", "127.0.0.1")
    with stand_in(forged) as server:
        await ask(f"{server.url}?sslmode={mode}&sslrootcert={good.certificate}")

    assert not told(server)


@pytest.mark.parametrize("mode, speaks", [("verify-full", False), ("verify-ca", True)])
async def test_a_certificate_for_another_address(tmp_path: Path, mode: str, speaks: bool) -> None:
    """R-136: `verify-full` looks at the name, `verify-ca` does not, as in libpq."""
    other = issue(tmp_path, "other", "10.9.8.7")
    with stand_in(other) as server:
        await ask(f"{server.url}?sslmode={mode}&sslrootcert={other.certificate}")

    assert told(server) is speaks


@pytest.mark.parametrize("mode, speaks", [("require", False), ("prefer", True), ("disable", True)])
async def test_a_database_without_tls(mode: str, speaks: bool) -> None:
    """R-136: `require` says nothing in the clear; who wants less must write it down."""
    with stand_in(None) as server:
        await ask(f"{server.url}?sslmode={mode}")

    assert bool(server.heard and any(server.heard)) is speaks


@pytest.mark.parametrize(
    "query",
    [
        "sslmode=verify_full",
        "sslmode=VERIFY-FULL",
        "sslmode=",
        "sslmode",
        "connect_timeout=5&sslmode",
        "sslmode=verify-full&sslrootcert=",
        "sslmode=verify-full&sslkey=/secret/client.key",
        "sslmode=allow",
        "sslmode=require&sslmode=disable",
        "sslrootcert=/secret/root.pem",
        "sslmode=require&sslrootcert=/secret/root.pem",
        "sslmode=verify-full&sslrootcert=/secret/nowhere.pem",
        "sslmode=verify-full&sslcert=/secret/nowhere.pem",
    ],
)
def test_a_protection_that_cannot_be_given_is_refused_at_start(query: str) -> None:
    """A misspelt mode is never passed over, and no value is repeated: a URL holds a password."""
    with pytest.raises(DatabaseUrlError) as caught:
        parse_database_url(f"postgresql://alice:word@db.example.com/bank?{query}")

    assert "secret" not in str(caught.value)
    assert "word" not in str(caught.value)
