"""Proves that `auth_proxy.access.key_source` believes nobody without a good certificate (attacks.md 4)."""

import ssl
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import aiohttp
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from auth_proxy.access.errors import KeyRefreshError, RefreshOutcome
from auth_proxy.access.key_source import HttpKeySource, open_jwks_session
from tests.fakes import jwks_server
from tests.fakes.clock import FrozenClock
from tests.fakes.jwks_server import JwksServer

TODAY = datetime.now(UTC)  # OpenSSL asks the machine's clock
YEAR = timedelta(days=365)


def name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


@dataclass(frozen=True, slots=True)
class Authority:
    """A certificate authority of a test."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    @classmethod
    def found(cls) -> "Authority":
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = (
            x509.CertificateBuilder()
            .subject_name(name("Test authority"))
            .issuer_name(name("Test authority"))
            .public_key(key.public_key())
            .serial_number(1)
            .not_valid_before(TODAY - YEAR)
            .not_valid_after(TODAY + YEAR)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .sign(key, SHA256())
        )
        return cls(certificate, key)

    def server_context(self, folder: Path, *, host: str, until: datetime) -> ssl.SSLContext:
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = (
            x509.CertificateBuilder()
            .subject_name(name(host))
            .issuer_name(self.certificate.subject)
            .public_key(key.public_key())
            .serial_number(2)
            .not_valid_before(TODAY - YEAR)
            .not_valid_after(until)
            .add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), critical=False)
            .sign(self.key, SHA256())
        )
        chain = folder / "server.pem"
        chain.write_bytes(
            key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
            + certificate.public_bytes(Encoding.PEM)
        )
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(chain)
        return context

    def trusting_session(self) -> aiohttp.ClientSession:
        context = ssl.create_default_context(cadata=self.certificate.public_bytes(Encoding.PEM).decode())
        return aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(ssl=context, force_close=True), auto_decompress=False
        )


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority.found()


async def test_a_good_certificate_is_believed(
    authority: Authority, tmp_path: Path, clock: FrozenClock
) -> None:
    """The session factory is the place for a private authority: with it, the fetch works."""
    tls = authority.server_context(tmp_path, host="localhost", until=TODAY + YEAR)
    async with JwksServer(jwks_server.body(b"{}"), tls=tls) as server:
        source = HttpKeySource(server.url, clock=clock, session_factory=authority.trusting_session)

        assert await source.read() == b"{}"


@pytest.mark.parametrize(
    "host, until",
    [("localhost", TODAY - timedelta(days=1)), ("other.example", TODAY + YEAR)],
    ids=["expired", "wrong_host"],
)
async def test_a_bad_certificate_is_refused(
    authority: Authority, tmp_path: Path, clock: FrozenClock, host: str, until: datetime
) -> None:
    """An expired certificate, or another host's, ends the fetch before a request is sent."""
    tls = authority.server_context(tmp_path, host=host, until=until)
    async with JwksServer(jwks_server.body(b"{}"), tls=tls) as server:
        source = HttpKeySource(server.url, clock=clock, session_factory=authority.trusting_session)
        with pytest.raises(KeyRefreshError) as caught:
            await source.read()

        assert caught.value.outcome is RefreshOutcome.UNREACHABLE
        assert server.requests == []


async def test_an_unknown_authority_is_refused(
    authority: Authority, tmp_path: Path, clock: FrozenClock
) -> None:
    """The default session verifies against the machine's authorities: a private one is nobody."""
    tls = authority.server_context(tmp_path, host="localhost", until=TODAY + YEAR)
    async with JwksServer(jwks_server.body(b"{}"), tls=tls) as server:
        source = HttpKeySource(server.url, clock=clock, session_factory=open_jwks_session)
        with pytest.raises(KeyRefreshError) as caught:
            await source.read()

        assert caught.value.outcome is RefreshOutcome.UNREACHABLE
        assert server.requests == []
