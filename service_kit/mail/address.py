"""The address by which mail leaves: one URL that says how, to whom, and whether the way is encrypted.

    smtp://user:password@mail.example.com:587   STARTTLS, or nothing is sent
    smtps://user:password@mail.example.com:465  TLS from the first byte
    smtp+insecure://127.0.0.1:25                no encryption, and therefore no password
    file:///var/lib/sallyport/mail              a folder; each letter becomes a file
    console:                                    a note in the log for each letter, never its text

It never falls back from one of them to another.
"""

import re
from dataclasses import dataclass, field
from email.utils import parseaddr
from enum import StrEnum
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit

from pydantic import SecretStr

from service_kit.email_address import normalise_email

_FORMS: Final = "must be smtp://, smtps:// or smtp+insecure:// with a host, file:///folder, or console:"
_HOST: Final = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9.:-]{0,252}[A-Za-z0-9])?")


class Way(StrEnum):
    """How a letter leaves."""

    STARTTLS = "smtp"
    TLS = "smtps"
    INSECURE = "smtp+insecure"
    FOLDER = "file"
    CONSOLE = "console"


_PORTS: Final = {Way.STARTTLS: 587, Way.TLS: 465, Way.INSECURE: 25}


@dataclass(frozen=True, slots=True)
class MailAddress:
    """A way, and what it needs. It prints without the password."""

    way: Way
    host: str = ""
    port: int = 0
    username: str = ""
    password: str = field(default="", repr=False)
    folder: Path = Path()


def parse_mail_address(value: str) -> MailAddress:
    """Raises ValueError; the text never repeats the value, which may hold a password."""
    try:
        parts = urlsplit(value)
        way, port = Way(parts.scheme), parts.port
    except ValueError:
        raise ValueError(_FORMS) from None
    if parts.query or parts.fragment:
        raise ValueError(_FORMS)
    match way:
        case Way.CONSOLE if not parts.netloc and not parts.path:
            return MailAddress(way)
        case Way.FOLDER if not parts.netloc and parts.path.startswith("/") and parts.path != "/":
            return MailAddress(way, folder=Path(unquote(parts.path)))
        case Way.STARTTLS | Way.TLS | Way.INSECURE if parts.path in ("", "/"):
            username, password = unquote(parts.username or ""), unquote(parts.password or "")
            return _smtp(MailAddress(way, parts.hostname or "", port or _PORTS[way], username, password))
        case _:
            raise ValueError(_FORMS)


def _smtp(address: MailAddress) -> MailAddress:
    if not _HOST.fullmatch(address.host):
        raise ValueError(_FORMS)
    if bool(address.username) != bool(address.password):
        raise ValueError("must hold both a user and a password, or neither")
    if address.way is Way.INSECURE and address.password:
        raise ValueError("must not send a password without encryption: use smtp:// or smtps://")
    return address


def checked_smtp_url(value: SecretStr) -> SecretStr:
    """For a settings class. Raises ValueError."""
    parse_mail_address(value.get_secret_value())
    return value


def checked_sender(value: str) -> str:
    """`mail@example.com` or `Example Inc <mail@example.com>`. Raises ValueError."""
    name, address = parseaddr(value)
    if not value.isprintable() or not address or normalise_email(address) != address.lower():
        raise ValueError("must be an address, such as Example Inc <mail@example.com>")
    if value.strip() not in (address, f"{name} <{address}>", f'"{name}" <{address}>'):
        raise ValueError("must be one address, such as Example Inc <mail@example.com>")
    return value
