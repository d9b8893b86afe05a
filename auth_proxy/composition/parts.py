"""What every part with background work has in common: it is begun in order and ended in reverse."""

import contextlib
from typing import Protocol


class Part(Protocol):
    """Something with background work of its own."""

    async def start(self) -> None: ...
    async def close(self) -> None: ...


async def begin(part: Part, stack: contextlib.AsyncExitStack) -> None:
    """Start the part; the stack ends it."""
    await part.start()
    stack.push_async_callback(part.close)
