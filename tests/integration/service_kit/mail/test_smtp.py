"""Mail over a real SMTP server: encrypted where the address says so, and every failure by its kind."""

import asyncio
from pathlib import Path

import pytest

from service_kit.jobs.delivering import MayWorkLaterError, NeverWorksError
from service_kit.mail.address import parse_mail_address
from service_kit.mail.composing import compose
from service_kit.mail.letter import Letter
from service_kit.mail.transports import FolderTransport, SmtpTransport
from tests.fakes.clock import START
from tests.integration.service_kit.mail.mail_server import Behaviour, Tls, mail_server, tls

LINK = "https://acme.app.example.com/accept-invite/inv_" + "0" * 26 + "_" + "S" * 26
LETTER = Letter(
    "bob@example.com", "You are invited to Ärger & Söhne", f"Grüße,\n{LINK}\n", f"<p>Grüße: {LINK}</p>"
)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Tls:
    return tls(tmp_path_factory.mktemp("tls"))


async def send(url: str, *, trust: Tls | None = None, step_seconds: float = 5.0) -> None:
    transport = SmtpTransport(
        parse_mail_address(url), tls=trust.client if trust else None, step_seconds=step_seconds
    )
    message = compose(
        LETTER, sender="Sallyport <mail@platform.example>", message_id="out_1", created_at=START
    )
    await transport.send(message, name="out_1")


async def failure(url: str, **more: object) -> str:
    """The kind and code of a failure."""
    with pytest.raises((MayWorkLaterError, NeverWorksError)) as failed:
        await send(url, **more)  # type: ignore[arg-type] # the caller's own words
    kinds = {MayWorkLaterError: "later", NeverWorksError: "never"}
    return f"{kinds[failed.type]} {failed.value}"


async def test_a_letter_arrives_as_it_was_written(certificate: Tls) -> None:
    """R-105: text and HTML, umlauts, a long link in one piece, the stable id, and no automatic answers."""
    behaviour = Behaviour()
    async with mail_server(behaviour, tls_context=certificate.server, require_starttls=True) as port:
        await send(f"smtp://localhost:{port}", trust=certificate)
    (letter,) = behaviour.letters

    assert letter["Subject"] == "You are invited to Ärger & Söhne"
    assert (letter["From"], letter["To"]) == ("Sallyport <mail@platform.example>", "bob@example.com")
    assert (letter["Message-ID"], letter["Auto-Submitted"]) == ("<out_1@platform.example>", "auto-generated")
    assert letter["Date"].datetime == START
    plain, html = letter.get_body(("plain",)), letter.get_body(("html",))
    assert plain is not None
    assert html is not None
    assert plain.get_content().replace("\r\n", "\n") == LETTER.text
    assert LINK in html.get_content()
    assert max(map(len, behaviour.received[0].splitlines())) <= 998


async def test_tls_from_the_first_byte_and_a_login(certificate: Tls) -> None:
    """`smtps://` encrypts before anything is said, and the password only then."""
    behaviour = Behaviour()
    async with mail_server(
        behaviour,
        ssl_context=certificate.server,
        authenticator=behaviour.authenticate,
        auth_require_tls=False,
    ) as port:
        await send(f"smtps://ada:right%20horse@localhost:{port}", trust=certificate)
        refused = await failure(f"smtps://ada:wrong@localhost:{port}", trust=certificate)

    assert set(behaviour.logins) == {("ada", "right horse"), ("ada", "wrong")}
    assert len(behaviour.received) == 1
    # The account can be mended by whoever runs the service: no letter dies of it.
    assert refused == "later LOGIN_REFUSED"


async def test_encryption_is_never_given_up(certificate: Tls) -> None:
    """A server without STARTTLS, and one whose certificate nobody vouches for, get no letter."""
    behaviour = Behaviour()
    async with mail_server(behaviour) as port:
        plain = await failure(f"smtp://localhost:{port}", trust=certificate)
        garbled = await failure(f"smtps://localhost:{port}", trust=certificate, step_seconds=1.0)
    async with mail_server(behaviour, tls_context=certificate.server) as port:
        unknown = await failure(f"smtp://localhost:{port}")
        other_name = await failure(f"smtp://127.0.0.1:{port}", trust=certificate)

    assert plain == "later NOT_ENCRYPTED"
    assert garbled in ("later TLS_FAILED", "later TIMED_OUT", "later CONNECTION_FAILED")
    assert [unknown, other_name] == ["later TLS_FAILED"] * 2
    assert behaviour.received == []


@pytest.mark.parametrize(
    ("behaviour", "told"),
    [
        (Behaviour(recipient=["550 no such user bob@example.com"]), "never RECIPIENT_REFUSED_550"),
        (Behaviour(recipient=["450 greylisted"]), "later RECIPIENT_REFUSED_450"),
        (Behaviour(data=["554 spam"]), "never MESSAGE_REFUSED_554"),
        (Behaviour(data=["451 try again"]), "later MESSAGE_REFUSED_451"),
        (Behaviour(sender="553 we do not know you"), "later SERVER_ANSWERED_553"),
    ],
)
async def test_a_refusal_is_final_only_where_it_is_the_messages_own(behaviour: Behaviour, told: str) -> None:
    """5xx for the recipient or the text is final; 4xx and what ails the account is not; no server text."""
    async with mail_server(behaviour) as port:
        assert await failure(f"smtp+insecure://127.0.0.1:{port}") == told


async def test_a_passing_refusal_then_success() -> None:
    """Greylisting: the same letter is taken at the second attempt."""
    behaviour = Behaviour(recipient=["450 greylisted", ""])
    async with mail_server(behaviour) as port:
        first = await failure(f"smtp+insecure://127.0.0.1:{port}")
        await send(f"smtp+insecure://127.0.0.1:{port}")

    assert first == "later RECIPIENT_REFUSED_450"
    assert len(behaviour.received) == 1


async def test_a_server_that_hangs_is_left() -> None:
    """Each step has its time."""
    behaviour = Behaviour(hangs=True)
    async with mail_server(behaviour) as port:
        assert await failure(f"smtp+insecure://127.0.0.1:{port}", step_seconds=0.3) == "later TIMED_OUT"


async def test_a_server_that_is_away_or_says_nothing() -> None:
    """No listener, and a listener that never greets, are both for later."""

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()
        left.set()

    left = asyncio.Event()
    server = await asyncio.start_server(silent, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    mute = await failure(f"smtp+insecure://127.0.0.1:{port}", step_seconds=0.2)
    server.close()
    await left.wait()
    gone = await failure(f"smtp+insecure://127.0.0.1:{port}")

    assert mute == "later TIMED_OUT"
    assert gone == "later CONNECTION_FAILED"


async def test_a_quarrel_after_the_letter_was_taken_is_no_failure() -> None:
    """What the server accepted is sent: a connection that breaks at the farewell must not send it twice."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 hello\r\n")
        while line := await reader.readline():
            if line.startswith(b"QUIT"):
                break
            writer.write(b"354 go on\r\n" if line.startswith(b"DATA") else b"250 OK\r\n")
            if line.startswith(b"DATA"):
                await reader.readuntil(b"\r\n.\r\n")
                writer.write(b"250 taken\r\n")
        writer.transport.abort()

    server = await asyncio.start_server(talk, "127.0.0.1", 0)
    await send(f"smtp+insecure://127.0.0.1:{server.sockets[0].getsockname()[1]}")
    server.close()


async def test_a_folder_keeps_each_message_once(tmp_path: Path) -> None:
    """The demo's mailbox: a file that only its owner reads; a second copy replaces the first."""
    transport = FolderTransport(tmp_path / "mail")
    message = compose(LETTER, sender="mail@platform.example", message_id="out_1", created_at=START)
    for _ in range(2):
        await transport.send(message, name="out_1")
    (file,) = (tmp_path / "mail").iterdir()

    assert file.name == "out_1.eml"
    assert file.stat().st_mode & 0o077 == 0
    assert b"Auto-Submitted: auto-generated" in file.read_bytes()
