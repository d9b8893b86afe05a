"""What every contender is given: one team, its tokens, one upstream, the same requests.

The keys are made for the run and die with it. Nothing here knows who is measured.
"""

import base64
import contextlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from benchmarks.wrk import Load
from deploy.demo.issuer import AccessIssuer, SigningKey
from deploy.demo.people import Person
from service_kit.clock import SystemClock

HOST: Final = "admin.example.com"
AUDIENCE: Final = "b" * 64
TOKENS: Final = 1000
LOCAL: Final = "127.0.0.1"
SIZES: Final = {"1k": 1024, "64k": 64 * 1024, "1m": 1024 * 1024}
_NONCE_AT: Final = 120  # in the middle of a signature of 342 characters
_NONCE_LENGTH: Final = 8


@dataclass(frozen=True, slots=True)
class Given:
    """The files and addresses of one run."""

    folder: Path
    upstream: int
    issuer: AccessIssuer
    public_key: Path
    tokens: Path
    bad_token: Path
    """One token that another key signed under our `kid`."""
    bad_tokens: Path
    """Such tokens with a place for a number: each request carries another one."""

    @property
    def team(self) -> str:
        return self.issuer.team_domain

    @property
    def key_set(self) -> str:
        return json.dumps({"keys": [key.jwk() for key in self.issuer.keys]})

    def load_without_token(self) -> Load:
        """The same request, with no token in it."""
        return Load(self.folder / "head-without", self.tokens)

    def load(self, size: str = "1k", tokens: Path | None = None) -> Load:
        return Load(self.folder / f"head-{size}", tokens or self.tokens)


def email_of(number: int) -> str:
    return f"person{number}@example.com"


def head(path: str) -> str:
    """A browser's request as Cloudflare passes it on: 15 headers, 1.45 KB with a token."""
    return "\r\n".join(
        (
            f"GET {path} HTTP/1.1",
            f"Host: {HOST}",
            "User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/126.0 Safari/537.36",
            "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
            "Accept-Encoding: gzip, br",
            "Accept-Language: en-GB,en;q=0.9",
            "Cache-Control: max-age=0",
            "Cdn-Loop: cloudflare; loops=1",
            "Cf-Access-Jwt-Assertion: {token}",
            "Cf-Connecting-Ip: 203.0.113.7",
            "Cf-Ipcountry: GB",
            "Cf-Ray: {ray}-FRA",
            'Cf-Visitor: {"scheme":"https"}',
            "Cookie: theme=dark; sidebar=narrow",
            "X-Forwarded-For: 203.0.113.7",
            "X-Forwarded-Proto: https",
            "\r\n",
        )
    )


def without_token(text: str) -> str:
    """The head without the line of the token."""
    return "".join(line for line in text.splitlines(keepends=True) if "{token}" not in line)


@contextmanager
def given(folder: Path, upstream: int) -> Iterator[Given]:
    """Make it all, and publish the team's keys on loopback while the block runs."""
    keys = SigningKey.generate(), SigningKey.generate()
    with _published() as (team, documents):
        issuer = AccessIssuer(team, SystemClock(), keys=keys[:1])
        documents.append(json.dumps(issuer.certs_document()).encode())
        for size in SIZES:
            (folder / f"head-{size}").write_text(head(f"/{size}"), encoding="ascii", newline="")
        (folder / "head-without").write_text(without_token(head("/1k")), encoding="ascii", newline="")
        yield Given(
            folder,
            upstream,
            issuer,
            _public_key(folder, issuer.current),
            _lines(folder / "tokens", good_tokens(issuer, TOKENS)),
            _lines(folder / "bad-token", bad_tokens(issuer, keys[1], 1)),
            _lines(folder / "bad-tokens", [with_nonce(token) for token in bad_tokens(issuer, keys[1], 100)]),
        )


def good_tokens(issuer: AccessIssuer, count: int) -> list[str]:
    """One token for each of so many people, good for a day."""
    people = (Person.with_email(email_of(number)) for number in range(count))
    return [issuer.mint(person, audience=AUDIENCE, lifetime=timedelta(hours=24)) for person in people]


def bad_tokens(issuer: AccessIssuer, other: SigningKey, count: int) -> list[str]:
    """Tokens that are right in everything but the signature: another key made it, under our `kid`.

    A signature above our modulus would be refused before any arithmetic, so such ones are left out.
    """
    forger = AccessIssuer(issuer.team_domain, SystemClock(), keys=(other,))
    largest = issuer.current.private.public_key().public_numbers().n.to_bytes(256, "big")[0]
    found: list[str] = []
    while len(found) < count:
        person = Person.with_email(email_of(len(found)))
        claims = forger.mint(person, audience=AUDIENCE).split(".")[1]
        ours = issuer.mint(person, audience=AUDIENCE).split(".")[0]
        signature = other.sign(f"{ours}.{claims}".encode())
        if signature[0] < largest:
            ending = base64.urlsafe_b64encode(signature).rstrip(b"=").decode()
            found.append(f"{ours}.{claims}.{ending}")
    return found


def with_nonce(token: str) -> str:
    """The token with {nonce} instead of eight characters in the middle of its signature."""
    at = token.rindex(".") + _NONCE_AT
    return f"{token[:at]}{{nonce}}{token[at + _NONCE_LENGTH :]}"


@contextmanager
def _published() -> Iterator[tuple[str, list[bytes]]]:
    documents: list[bytes] = []

    class Certs(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(documents[0])))
            self.end_headers()
            self.wfile.write(documents[0])

        def log_message(self, *_arguments: object) -> None:
            """Say nothing: the table is the output."""

    with ThreadingHTTPServer((LOCAL, 0), Certs) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        with contextlib.ExitStack() as stack:
            stack.callback(thread.join)
            stack.callback(server.shutdown)
            yield f"http://{LOCAL}:{server.server_port}", documents


def _public_key(folder: Path, key: SigningKey) -> Path:
    path = folder / "team.pem"
    public = key.private.public_key()
    path.write_bytes(public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    return path


def _lines(path: Path, lines: list[str]) -> Path:
    path.write_text("\n".join(lines) + "\n", encoding="ascii")
    return path
