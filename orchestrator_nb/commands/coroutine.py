"""What a coroutine function gives, run to its end inside of an attempt."""

from __future__ import annotations

import inspect
from contextlib import suppress
from typing import Any

from orchestrator_nb.errors import Cancelled, CommandError
from orchestrator_nb.ports import Attempt


def awaited(attempt: Attempt, value: Any) -> Any:
    """Return the value; one that has to be awaited is, on an event loop of its own in the current context.

    It is cancelled when the attempt is to end. Raises Cancelled then, else whatever it raises.
    """
    if not inspect.isawaitable(value):
        return value
    import asyncio

    async def main() -> Any:
        loop, task = asyncio.get_running_loop(), asyncio.current_task()

        def cancel(_grace: float) -> None:
            with suppress(RuntimeError):  # the loop is closed: it has just ended by itself
                loop.call_soon_threadsafe(lambda: task.cancel() if task is not None else None)

        attempt.on_end(cancel)
        return await value

    try:
        return asyncio.run(main())
    except asyncio.CancelledError as error:
        ending = attempt.ending
        if ending is not None:
            raise Cancelled(ending) from None
        raise CommandError("the coroutine was cancelled from inside, by its own code", kind="exception") from error
