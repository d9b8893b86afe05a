"""The ways by which a message leaves: an SMTP server, a folder, or a note in the log.

What a server answers never gets into an error: only its status does. Its text may repeat the address.
"""

import asyncio
import contextlib
import os
import ssl
from email.message import EmailMessage
from pathlib import Path
from typing import Final, Protocol

from aiosmtplib import (
    SMTP,
    SMTPAuthenticationError,
    SMTPDataError,
    SMTPException,
    SMTPRecipientsRefused,
    SMTPResponseException,
)

from service_kit.jobs.delivering import MayWorkLaterError, NeverWorksError
from service_kit.mail.address import MailAddress, Way
from service_kit.telemetry.logging import get_logger

STEP_SECONDS: Final = 15.0
_PERMANENT: Final = range(500, 600)

_log = get_logger(__name__)


class Transport(Protocol):
    """Hands a message over. Raises MayWorkLaterError or NeverWorksError."""

    async def send(self, message: EmailMessage, *, name: str) -> None:
        """`name` is the stable id of the message, for a transport that keeps it."""
        ...


class SmtpTransport:
    """One connection for each message: they are few, and none waits for a dead connection.

    Encryption that the address asks for is never given up. A refused recipient or text is final; a server
    that is away, refuses our login or our sender, or asks for patience is not: that is mended elsewhere.
    """

    def __init__(
        self,
        address: MailAddress,
        *,
        tls: ssl.SSLContext | None = None,
        step_seconds: float = STEP_SECONDS,
    ) -> None:
        self._address = address
        self._tls = tls
        self._step_seconds = step_seconds

    async def send(self, message: EmailMessage, *, name: str) -> None:  # noqa: ARG002 - it stands in the Message-ID
        domain = message["From"].addresses[0].domain
        client = SMTP(
            hostname=self._address.host,
            port=self._address.port,
            local_hostname=domain,  # else the machine's own name is looked up, and the loop waits for it
            timeout=self._step_seconds,
            use_tls=self._address.way is Way.TLS,
            start_tls=self._address.way is Way.STARTTLS,
            tls_context=self._tls,
        )
        try:
            await self._converse(client, message)
        except SMTPException as error:
            raise _failure(error) from error
        except ssl.SSLError as error:
            raise MayWorkLaterError("TLS_FAILED") from error
        except OSError as error:
            raise MayWorkLaterError("CONNECTION_FAILED") from error
        finally:
            client.close()

    async def _converse(self, client: SMTP, message: EmailMessage) -> None:
        await client.connect()
        if self._address.username:
            await client.login(self._address.username, self._address.password)
        await client.send_message(message)
        # It has the message: a quarrel about the farewell must not send it twice.
        with contextlib.suppress(SMTPException, OSError):
            await client.quit()


def _failure(error: SMTPException) -> Exception:
    """Permanent only where the fault is the message's own: its recipient or its text (R-105)."""
    match error:
        case SMTPRecipientsRefused():
            codes = [refused.code for refused in error.recipients]
            return _of_status("RECIPIENT_REFUSED", codes[0] if codes else 0)
        case SMTPDataError():
            return _of_status("MESSAGE_REFUSED", error.code)
        case SMTPAuthenticationError():
            return MayWorkLaterError("LOGIN_REFUSED")
        case SMTPResponseException():
            return MayWorkLaterError(f"SERVER_ANSWERED_{error.code}")
        case TimeoutError():
            return MayWorkLaterError("TIMED_OUT")
        case ConnectionError():
            is_tls = isinstance(error.__cause__, ssl.SSLError)
            return MayWorkLaterError("TLS_FAILED" if is_tls else "CONNECTION_FAILED")
        case _:
            return MayWorkLaterError("NOT_ENCRYPTED" if "STARTTLS" in error.message else "SMTP_FAILED")


def _of_status(code: str, status: int) -> Exception:
    kind = NeverWorksError if status in _PERMANENT else MayWorkLaterError
    return kind(f"{code}_{status}")


class FolderTransport:
    """Writes each message into a file that mail programs open; the same message twice is one file."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def send(self, message: EmailMessage, *, name: str) -> None:
        try:
            await asyncio.to_thread(self._write, message.as_bytes(), name)
        except OSError as error:
            raise MayWorkLaterError("FOLDER_NOT_WRITABLE") from error

    def _write(self, content: bytes, name: str) -> None:
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        fresh = self._folder / f".{name}.{os.getpid()}"
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
        fresh.replace(self._folder / f"{name}.eml")  # nobody ever reads half a letter


class ConsoleTransport:
    """Notes in the log that there was a message: its text may hold a link that opens something."""

    async def send(self, message: EmailMessage, *, name: str) -> None:  # noqa: ARG002 - its text stays out of the log
        _log.info("mail_only_noted", message_id=name)


def transport_of(address: MailAddress) -> Transport:
    match address.way:
        case Way.FOLDER:
            return FolderTransport(address.folder)
        case Way.CONSOLE:
            return ConsoleTransport()
        case _:
            return SmtpTransport(address)
