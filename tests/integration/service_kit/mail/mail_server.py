"""A real SMTP server on loopback that behaves, refuses, hangs or fails as a test says."""

import asyncio
import datetime as dt
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from pathlib import Path
from typing import Any

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


@dataclass
class Behaviour:
    """What the server answers; the first of a list counts for the next message, "" is success."""

    recipient: list[str] = field(default_factory=list)
    data: list[str] = field(default_factory=list)
    sender: str = ""
    hangs: bool = False
    released: asyncio.Event = field(default_factory=asyncio.Event)
    received: list[bytes] = field(default_factory=list)
    logins: list[tuple[str, str]] = field(default_factory=list)
    _read: list[EmailMessage] = field(default_factory=list)

    @property
    def letters(self) -> list[EmailMessage]:
        """Each is parsed once: aiosmtpd looks at every attribute of its handler for each connection."""
        unread = self.received[len(self._read) :]
        self._read += [message_from_bytes(raw, policy=default) for raw in unread]
        return list(self._read)

    async def handle_MAIL(  # noqa: N802 - aiosmtpd's signature
        self, _server: Any, _session: Any, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        envelope.mail_from = address
        envelope.mail_options.extend(options)
        return self.sender or "250 OK"

    async def handle_RCPT(  # noqa: N802 - aiosmtpd's signature
        self, _server: Any, _session: Any, envelope: Envelope, address: str, _options: list[str]
    ) -> str:
        envelope.rcpt_tos.append(address)
        return (self.recipient.pop(0) if self.recipient else "") or "250 OK"

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Envelope) -> str:  # noqa: N802 - as above
        if self.hangs:
            await self.released.wait()
        answer = self.data.pop(0) if self.data else ""
        if not answer:
            assert isinstance(envelope.content, bytes)
            self.received.append(envelope.content)
        return answer or "250 OK"

    def authenticate(
        self, _server: Any, _session: Any, _envelope: Any, _mechanism: str, data: Any
    ) -> AuthResult:
        assert isinstance(data, LoginPassword)
        self.logins.append((data.login.decode(), data.password.decode()))
        return AuthResult(success=data.password == b"right horse", handled=False)


@asynccontextmanager
async def mail_server(
    behaviour: Behaviour, *, ssl_context: ssl.SSLContext | None = None, **options: Any
) -> AsyncIterator[int]:
    """The port of the server while the block runs."""
    loop = asyncio.get_running_loop()

    spoken_to: list[SMTP] = []

    def connected() -> SMTP:
        spoken_to.append(SMTP(behaviour, hostname="mail.test", loop=loop, **options))
        return spoken_to[-1]

    server = await loop.create_server(connected, "127.0.0.1", 0, ssl=ssl_context)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        behaviour.released.set()
        server.close()
        for one in spoken_to:
            if isinstance(one.transport, asyncio.Transport):
                one.transport.abort()
        await asyncio.sleep(0.05)  # each connection learns that it is lost


@dataclass(frozen=True)
class Tls:
    """A certificate for 127.0.0.1, as a server uses it and as a client believes it."""

    server: ssl.SSLContext
    client: ssl.SSLContext


def tls(folder: Path) -> Tls:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "mail.test")])
    now = dt.datetime.now(dt.UTC)
    names = x509.SubjectAlternativeName([x509.DNSName("localhost")])
    builder = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
    builder = builder.not_valid_before(now - dt.timedelta(days=1)).not_valid_after(now + dt.timedelta(days=1))
    certificate = builder.add_extension(names, critical=False).sign(key, hashes.SHA256())
    pem = certificate.public_bytes(serialization.Encoding.PEM)
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    file = folder / "mail.pem"
    file.write_bytes(private + pem)
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(file)
    return Tls(server, ssl.create_default_context(cadata=pem.decode()))
