"""What a revoked operator may still finish: nothing."""

import asyncio
from pathlib import Path

from deploy.demo.issuer import SigningKey
from service_kit.identity.model import Role
from tests.fakes.admin_service import operator
from tests.fixtures.sidecar import person
from tests.fixtures.websockets import CLOSE, TEXT, echo_upstream, frame, open_websocket, websocket_sidecar


async def test_a_message_is_not_finished_after_the_end(access_key: SigningKey, tmp_path: Path) -> None:
    """R-064: the last byte of a message that comes after 4403 does not make it whole at the upstream."""
    who = person(Role.SUPPORT)
    async with (
        echo_upstream() as upstream,
        websocket_sidecar(access_key, tmp_path, upstream.url) as sidecar,
    ):
        socket = await open_websocket(sidecar, token=sidecar.token(who))
        message = frame(TEXT, b"delete everything")
        socket.writer.write(message[:-1])
        await asyncio.sleep(0.6)
        sidecar.admin.put(operator(who.sub, who.email, Role.SUPPORT, active=False))

        opcode, payload = await socket.receive()
        socket.writer.write(message[-1:])  # at once: the sidecar still reads what the client has to say
        await asyncio.sleep(0.5)
        socket.abort()

        assert (opcode, payload[:2]) == (CLOSE, (4403).to_bytes(2, "big"))
        assert upstream.received == []
