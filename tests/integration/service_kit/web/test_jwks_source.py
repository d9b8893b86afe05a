"""The public keys of a service: a bad answer never replaces a good set, and nobody causes a flood."""

import asyncio
import json
from pathlib import Path

import pytest

from service_kit.identity.keys import KeyFileError, public_jwks
from service_kit.identity.verifying import KeysNotLoadedError
from service_kit.web import jwks_source
from service_kit.web.jwks_source import JwksSource, open_jwks_source
from tests.fakes.clock import FrozenClock
from tests.fixtures.identities import Vouch, new_key
from tests.integration.auth_proxy.scripted_upstream import answering, scripted
from tests.integration.service_kit.web.service import AUDIENCE, serving

OLD, NEW = new_key(), new_key()


def jwks(*keys: object) -> bytes:
    return json.dumps(public_jwks(keys)).encode()  # type: ignore[arg-type]  # keys of the tests


class Fetched:
    """Answers what a test says and counts."""

    def __init__(self, answer: bytes | Exception) -> None:
        self.answer = answer
        self.fetches = 0

    async def __call__(self) -> bytes:
        self.fetches += 1
        await asyncio.sleep(0)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


async def test_the_keys_are_loaded_at_start(clock: FrozenClock) -> None:
    """Ready with the first set, and the key is the published one."""
    source = JwksSource(Fetched(jwks(OLD)), clock)
    await source.start()

    assert (await source.readiness()).ready
    assert await source.key(OLD.kid) == OLD.private.public_key()
    await source.close()


@pytest.mark.parametrize(
    "answer", [b"", b'{"keys": []}', b'{"keys": [1]}', OSError(), KeyFileError(), TimeoutError()]
)
async def test_keys_that_were_never_loaded_prove_nothing(
    clock: FrozenClock, answer: bytes | Exception
) -> None:
    """Start goes on without them; readiness says so, and each token is an outage, not a forgery."""
    source = JwksSource(Fetched(answer), clock)
    await source.start()

    assert not (await source.readiness()).ready
    with pytest.raises(KeysNotLoadedError):
        await source.key(OLD.kid)
    await source.close()


@pytest.mark.parametrize("answer", [b"", b'{"keys": []}', b'{"keys": ["x"]}', OSError(), b"<html>"])
async def test_a_bad_answer_keeps_the_good_set(clock: FrozenClock, answer: bytes | Exception) -> None:
    """The sidecar is away or talks nonsense: what was proven can still be proven."""
    fetched = Fetched(jwks(OLD))
    source = JwksSource(fetched, clock)
    await source.start()
    fetched.answer = answer
    clock.advance(5)

    assert await source.key("unknown") is None
    assert await source.key(OLD.kid) is not None
    assert fetched.fetches == 2
    await source.close()


async def test_an_unknown_key_asks_again_at_most_once_a_second(clock: FrozenClock) -> None:
    """A rotation is seen at once; a thousand forged kids are one fetch."""
    fetched = Fetched(jwks(OLD))
    source = JwksSource(fetched, clock)
    await source.start()
    clock.advance(1)
    fetched.answer = jwks(OLD, NEW)

    assert await source.key(NEW.kid) is not None
    assert await asyncio.gather(*(source.key(f"forged-{n}") for n in range(1000))) == [None] * 1000
    assert fetched.fetches == 2
    clock.advance(1)
    await source.key("forged")
    assert fetched.fetches == 3
    await source.close()


async def test_those_who_waited_for_a_slow_fetch_begin_none_of_their_own(clock: FrozenClock) -> None:
    """Ten requests behind a fetch of three seconds wait three seconds, not thirty."""
    fetches = 0

    async def slow() -> bytes:
        nonlocal fetches
        fetches += 1
        await asyncio.sleep(0)
        clock.advance(3)
        return jwks(OLD)

    source = JwksSource(slow, clock)
    await source.start()
    clock.advance(1)
    await asyncio.gather(*(source.key("unknown") for _ in range(10)))

    assert fetches == 2
    await source.close()


async def test_a_removed_key_is_gone_with_the_next_set(
    clock: FrozenClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The set is replaced in the background, again and again, also after a failure."""
    monkeypatch.setattr(jwks_source, "REFRESH_SECONDS", 0.01)
    fetched = Fetched(jwks(OLD, NEW))
    source = JwksSource(fetched, clock)
    await source.start()
    fetched.answer = b'{"keys": [1]}'
    await asyncio.sleep(0.05)
    fetched.answer = jwks(NEW)
    async with asyncio.timeout(20):
        while await source.key(OLD.kid) is not None:
            await asyncio.sleep(0.01)

    assert await source.key(NEW.kid) is not None
    await source.close()


async def test_a_file_is_a_source(clock: FrozenClock, tmp_path: Path) -> None:
    """INTERNAL_JWKS_FILE: read again when a key is unknown."""
    path = tmp_path / "jwks.json"
    path.write_bytes(jwks(OLD))
    source = open_jwks_source(url=None, file=path, clock=clock)
    await source.start()
    path.write_bytes(jwks(NEW))
    clock.advance(1)

    assert await source.key(NEW.kid) is not None
    await source.close()


@pytest.mark.parametrize("url, file", [(None, None), ("http://x", Path("x"))])
def test_exactly_one_source_is_named(clock: FrozenClock, url: str | None, file: Path | None) -> None:
    """Neither or both is a configuration that nobody meant."""
    with pytest.raises(ValueError, match="set one of"):
        open_jwks_source(url=url, file=file, clock=clock)


async def load(answer: bytes) -> bool:
    """Whether a set that comes so over a socket is taken."""
    async with scripted(answering(answer)) as url:
        source = open_jwks_source(url=url, file=None, clock=FrozenClock())
        await source.start()
        await source.close()
        return (await source.readiness()).ready


@pytest.mark.parametrize(
    "head, loaded",
    [
        ("HTTP/1.1 200 OK", True),
        ("HTTP/1.1 404 Not Found", False),
        ("HTTP/1.1 500 Oops", False),
        ("HTTP/1.1 302 Found\r\nLocation: /", False),
        ("garbage", False),
    ],
)
async def test_only_a_plain_200_is_a_set(head: str, loaded: bool) -> None:
    """No redirect is followed, no error page is read."""
    body = jwks(OLD)

    assert await load(f"{head}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body) is loaded


async def test_a_set_may_come_in_pieces_but_not_without_end() -> None:
    """Two packets are one set; more than 64 KiB are none, and half a set is none."""
    body = jwks(OLD)

    async def in_pieces(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body[:20])
        await writer.drain()
        await asyncio.sleep(0.05)
        writer.write(body[20:])
        await writer.drain()

    async with scripted(in_pieces) as url:
        source = open_jwks_source(url=url, file=None, clock=FrozenClock())
        await source.start()
        await source.close()
    assert (await source.readiness()).ready
    assert not await load(
        b"HTTP/1.1 200 OK\r\nContent-Length: 70000\r\n\r\n" + body + b" " * (70_000 - len(body))
    )
    assert not await load(b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n" + body)


async def test_a_service_without_keys_answers_503_and_heals(vouch: Vouch, clock: FrozenClock) -> None:
    """Through the guard: 503 while the sidecar is away, 200 once its set was read."""
    fetched = Fetched(OSError())
    source = JwksSource(fetched, clock)
    await source.start()
    headers = vouch.headers(audience=AUDIENCE)
    async with serving(source) as (client, _):
        before = await client.get("/origin", headers=headers)
        fetched.answer = jwks(vouch.key)
        clock.advance(1)
        after = await client.get("/origin", headers=headers)

    assert (before.status, after.status) == (503, 200)
    await source.close()
