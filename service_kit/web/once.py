"""A change that has one effect and one answer, however often its request is sent (http-api 3.0).

It knows no HTTP. The key is kept in the transaction of the change itself; a refused change keeps none.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from service_kit.web.idempotency import IdempotentRequest, StoredAnswer


@dataclass(frozen=True, slots=True)
class Once:
    """The request as its key names it, and the answer as it may be kept."""

    request: IdempotentRequest
    status: int
    shown: Callable[[Any], Mapping[str, Any]]
    """The body of the answer, made of the change's result, without any secret (data-model 2.5)."""

    def answer(self, result: object) -> StoredAnswer:
        return StoredAnswer(self.status, self.shown(result))


class AlreadyDoneError(Exception):
    """An earlier request with this key did it; nothing was done again, and this was its answer."""

    def __init__(self, answer: StoredAnswer) -> None:
        super().__init__(f"answered with {answer.status}")
        self.answer = answer
