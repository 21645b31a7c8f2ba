"""The one thread that changes widgets: it asks what has a panel whether there is something new, and shows that."""

from __future__ import annotations

import logging
import threading
from typing import Protocol

INTERVAL = 0.2
"""Seconds between two messages to a widget at the least: it gets five a second, the last state always among them."""

TICK = 0.05
"""Seconds between two questions whether there is something new: what comes after a quiet time is shown soon."""

log = logging.getLogger("orchestrator_nb.jupyter")


class Published(Protocol):
    """What is brought up to date."""

    def publish(self) -> bool:
        """Bring it up to date; return whether it is to be asked again."""


class Publisher:
    """Asks what was added until it says that there is no more to come; its thread is there as long as that takes."""

    def __init__(self) -> None:
        self._published: list[Published] = []
        self._lock = threading.Lock()
        self._hurry = threading.Event()
        self._thread: threading.Thread | None = None

    def add(self, published: Published) -> None:
        """Bring this up to date from now on; no other thread touches it meanwhile."""
        with self._lock:
            self._published.append(published)
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
            for published in list(self._published):
                if not self._ask(published):
                    self._published.remove(published)
            with self._lock:
                if not self._published:
                    self._thread = None
                    return

    def _ask(self, published: Published) -> bool:
        try:
            return published.publish()
        except Exception as error:  # noqa: BLE001 - a view that fails takes neither the others nor the run with it
            log.warning("a panel is left as it is: %s: %s", type(error).__name__, error)
            return False


publisher = Publisher()
"""That of this process."""
