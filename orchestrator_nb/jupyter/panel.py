"""The live panel of a run in a cell: the picture of the run, its widget, and what is asked for by clicks."""

from __future__ import annotations

import os
import queue
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from orchestrator_nb.drawing.card import run_card
from orchestrator_nb.journal.store import JOURNAL
from orchestrator_nb.jupyter import frontend
from orchestrator_nb.jupyter.clicks import ACTS, READING, Message
from orchestrator_nb.jupyter.publisher import INTERVAL, publisher
from orchestrator_nb.jupyter.widget import bundle_of, panel_widget
from orchestrator_nb.orchestrator.display.picture import Picture
from orchestrator_nb.orchestrator.run import Run

IDLE = 1.0
"""Seconds between two looks at a run that nobody drives and whose journal does not grow."""


class Panel:
    """Shows a run until it is over, and then leaves its picture as plain HTML in the notebook.

    One that is to `stay` keeps its buttons after the end, so that the run can be taken up or rolled back.
    """

    def __init__(self, run: Run, *, stay: bool = False) -> None:
        self.run = run
        self.picture = Picture(run)
        self.picture.look()
        self.parts = self.picture.parts
        self.parts.update(said={}, detail={}, tried={}, trends={}, ratings={})
        self.widget = panel_widget(self.parts, self._heard)
        self._stay = stay
        self._handle: Any = None
        self._place: Callable[[str], None] | None = None
        self._parent: dict[str, Any] = {}
        self._looked = self._sent = time.monotonic()
        self._size = 0
        self._behind = False
        self._answers: queue.SimpleQueue[tuple[str, Any]] = queue.SimpleQueue()

    def display(self, parent: dict[str, Any] | None = None) -> None:
        """Show it in the cell that runs, or in that of another request, and keep it up to date."""
        from IPython.display import display

        self._parent = frontend.cell_parent() if parent is None else parent
        started = f"run {self.run.id}: a live panel, to be seen while its session lasts"
        bundle = {**bundle_of(self.widget), "text/plain": started, "text/html": f"<p>{started}</p>"}
        self._handle = display(bundle, raw=True, display_id=True)  # type: ignore[no-untyped-call]
        publisher.add(self)

    def put(self, place: Callable[[str], None]) -> None:
        """Keep it up to date where it was put; `place` takes the HTML that it leaves at the end."""
        self._place = place
        publisher.add(self)

    def publish(self) -> bool:
        """Send what has changed; at the end, leave the picture. The publisher's thread alone calls this."""
        now = time.monotonic()
        if not self._is_due(now):
            return True
        self._looked = now
        # Where the last call has failed nobody knows what came of it: everything is sent.
        changed = dict.fromkeys(self.parts if self._behind else ())
        self._behind = True
        changed.update(dict.fromkeys(self.picture.look()))
        while not self._answers.empty():
            name, value = self._answers.get()
            if isinstance(value, Message):
                self.widget.send(value.content, value.buffers)
            else:
                self.parts[name] = value
                changed[name] = None
        if changed:
            self._sent = now
            self.widget.send_parts(changed)
        if self.picture.is_over and not self._stay:
            self._leave()
            return False
        self._behind = False
        return True

    def left(self, why: str) -> None:
        """Say below the head that nothing more is shown; what was clicked is still done."""
        again = (
            f"This panel is not brought up to date any more ({why}). The run is not touched by that: show it again with"
        )
        self.parts["said"] = {"text": f"{again} %workflow attach {self.run.id}", "wrong": True}
        self.widget.send_parts(["said"])

    def _is_due(self, now: float) -> bool:
        """Say whether to look now: the last look failed, somebody clicked, the journal has grown and the last message is
        not too young, or nobody has looked for a while: how far a command is stands in no journal."""
        if self._behind or not self._answers.empty():
            return True
        patience = INTERVAL if self.picture.is_driven else IDLE
        if now - self._looked >= patience:
            return True
        return now - self._sent >= INTERVAL and self._has_grown()

    def _has_grown(self) -> bool:
        try:
            size = os.stat(self.run.folder / JOURNAL).st_size
        except OSError:
            return False
        grown, self._size = size != self._size, size
        return grown

    def html(self) -> str:
        """Return the picture of the run as it stands, as plain HTML."""
        return run_card(self.parts, svg=self.picture.svg(), folder=self.run.folder)

    def _leave(self) -> None:
        html = self.html()
        if self._place is not None:
            self._place(html)
        elif self._handle is not None:
            text = str(self.run.status())
            with frontend.in_cell(self._parent):
                self._handle.update({"text/html": html, "text/plain": text}, raw=True)

    # ── what is clicked ─────────────────────────────────────────────────────────────────────────────────────────

    def _heard(self, content: dict[str, Any]) -> None:
        """Take a click, on whichever thread the kernel handles it; the work is done elsewhere."""
        thread = readers if content.get("do") in READING else hands
        thread.do(lambda: self._act(content), self._failed)

    def _act(self, content: dict[str, Any]) -> None:
        act = ACTS.get(str(content.get("do")))
        if act is None:
            return
        for answer in act(self.run, content).items():
            self._answers.put(answer)
        publisher.hurry()

    def _failed(self, error: Exception) -> None:
        self._answers.put(("said", {"text": str(error), "wrong": True}))
        publisher.hurry()


class Hands:
    """Does, one after the other and on a thread of their own, the things that were asked for by clicks."""

    def __init__(self) -> None:
        self._wanted: queue.SimpleQueue[tuple[Callable[[], None], Callable[[Exception], None]]] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def do(self, wanted: Callable[[], None], failed: Callable[[Exception], None]) -> None:
        """Do this soon; `failed` is called with what it raises."""
        self._wanted.put((wanted, failed))
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="orchestrator-nb clicks", daemon=True)
                self._thread.start()

    def _work(self) -> None:
        while True:
            with suppress(queue.Empty):
                wanted, failed = self._wanted.get(timeout=1.0)
                try:
                    wanted()
                except Exception as error:  # noqa: BLE001 - said where it was clicked
                    failed(error)
                continue
            with self._lock:
                if self._wanted.empty():
                    self._thread = None
                    return


hands = Hands()
"""Those of this process."""

readers = Hands()
"""Those that read histories, which takes a while: nobody who pauses a run is to wait for that."""
