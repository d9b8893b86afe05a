"""Idempotency-Key over HTTP: the key of a call, and the answer that was given before."""

import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

from aiohttp import web

from service_kit.web.api import Call, Result
from service_kit.web.idempotency import HEADER, REPLAYED, IdempotentRequest, hash_of, read_key
from service_kit.web.once import AlreadyDoneError, Once

CODES: Final = ("IDEMPOTENCY_KEY_INVALID", "IDEMPOTENCY_KEY_REUSED", "IDEMPOTENCY_IN_PROGRESS")
"""What an endpoint that takes a key can refuse further."""

Handle = Callable[[Call], Awaitable[Result]]


def once_of(call: Call, shown: Callable[[Any], Mapping[str, Any]], *, status: int = 200) -> Once | None:
    """What makes the call one of its kind; None without a key. Raises BadRequestError for no proper key.

    A key counts for one operator and one address: the same key for another operator's row is another one.
    """
    key = read_key(call.request.headers.getall(HEADER, []))
    if key is None:
        return None
    scope = f"{call.actor.operator_id} {call.request.method} {call.request.path}"
    body = {} if call.body is None else call.body.model_dump(mode="json")
    return Once(IdempotentRequest(scope, key, hash_of(body)), status, shown)


def replaying(handle: Handle) -> Handle:
    """The handler, which gives the stored answer again when its change was done before."""

    async def handle_once(call: Call) -> Result:
        try:
            return await handle(call)
        except AlreadyDoneError as done:
            headers = {REPLAYED: "true", "Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
            text = json.dumps(dict(done.answer.body), ensure_ascii=False)
            return web.Response(
                status=done.answer.status, text=text, content_type="application/json", headers=headers
            )

    return handle_once
