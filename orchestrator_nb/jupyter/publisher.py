"""The one thread that changes widgets: it asks what has a panel whether there is something new, and shows that."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Protocol

INTERVAL = 0.2
"""Seconds between two messages to a widget at the least: it gets five a second, the last state always among them."""

TICK = 0.05
"""Seconds between two questions whether there is something new: what comes after a quiet time is shown soon."""

PAUSES = (0.5, 1.0, 2.0, 4.0, 8.0, 15.0)
"""Seconds until what has failed is asked again, once, twice and so on in a row; after that it is left as it is."""

log = logging.getLogger("orchestrator_nb.jupyter")


class Published(Protocol):
    """What is brought up to date."""

    def publish(self) -> bool:
        """Bring it up to date; return whether it is to be asked again. After it has raised, the next call makes good
        what that one has not done."""

    def left(self, why: str) -> None:
        """Say to the person who looks at it that it is not brought up to date any more, and why."""


class _Asked:
    """What was added, how often in a row it has failed, and when it is to be asked again."""

    def __init__(self, published: Published) -> None:
        self.published = published
        self.failures = 0
        self.due = 0.0


class Publisher:
    """Asks what was added until it says that there is no more to come; its thread is there as long as that takes."""

    def __init__(self, pauses: Sequence[float] = PAUSES) -> None:
        self._pauses = pauses
        self._published: list[_Asked] = []
        self._lock = threading.Lock()
        self._hurry = threading.Event()
        self._thread: threading.Thread | None = None

    def add(self, published: Published) -> None:
        """Bring this up to date from now on; no other thread touches it meanwhile."""
        with self._lock:
            self._published.append(_Asked(published))
            if self._thread is None:
                self._thread = threading.Thread(target=self._publish, name="orchestrator-nb panels", daemon=True)
                self._thread.start()

    def hurry(self) -> None:
        """Look at once: somebody clicked, and waits for what comes of it."""
        self._hurry.set()

    @property
    def is_busy(self) -> bool:
        """True while there is something to bring up to date."""
        return self._thread is not None

    def _publish(self) -> None:
        while True:
            self._hurry.wait(TICK)
            self._hurry.clear()
            for asked in list(self._published):
                if not self._ask(asked):
                    self._published.remove(asked)
            with self._lock:
                if not self._published:
                    self._thread = None
                    return

    def _ask(self, asked: _Asked) -> bool:
        now = time.monotonic()
        if now < asked.due:
            return True
        try:
            goes_on = asked.published.publish()
        except Exception as error:  # noqa: BLE001 - a view that fails takes neither the others nor the run with it
            return self._is_asked_again(asked, f"{type(error).__name__}: {error}", now)
        asked.failures = 0
        return goes_on

    def _is_asked_again(self, asked: _Asked, why: str, now: float) -> bool:
        """Say whether what has failed is asked again, and when: a disk or a connection may be back in a moment."""
        if asked.failures < len(self._pauses):
            asked.due = now + self._pauses[asked.failures]
            asked.failures += 1
            log.info("a panel is brought up to date again in %g s: %s", asked.due - now, why)
            return True
        log.warning("a panel is left as it is, its run goes on; show it again with %%workflow attach: %s", why)
        with suppress(Exception):
            asked.published.left(why)
        return False


publisher = Publisher()
"""That of this process."""
