"""A run as views show it: plain data in named parts, so that a view need only be told of the parts that changed."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from orchestrator_nb import events as e
from orchestrator_nb.drawing.folding import Folded, fold_graph
from orchestrator_nb.drawing.glyphs import GLYPHS, duration
from orchestrator_nb.drawing.graph import Box, graph_svg
from orchestrator_nb.drawing.icons import ICONS
from orchestrator_nb.journal.follow import Follower
from orchestrator_nb.journal.store import JOURNAL
from orchestrator_nb.orchestrator.display.failure_card import card_html
from orchestrator_nb.orchestrator.display.looked import Looked
from orchestrator_nb.orchestrator.display.picture_extras import LONGEST, asked_of, checked_of, parameters_of, points_of
from orchestrator_nb.orchestrator.display.remaining import expected_seconds, remaining_seconds
from orchestrator_nb.orchestrator.display.shown import as_text, headline
from orchestrator_nb.orchestrator.display.telling import told_in_full
from orchestrator_nb.state.records import CommandRecord
from orchestrator_nb.state.run_state import RunState
from orchestrator_nb.state.transitions import ENDED, FINAL

CHUNK = 2
"""Rows in a part: all of them are sent when one changes, and those that change together are seldom neighbours."""
LOG_CHUNK = 10
"""Entries of the log in a part: its last part is sent until it is full."""
CARDS = 5
"""So many failures have a card at the most."""
ETA_EVERY = 1.0
"""Seconds for which an estimate of what is left is good: it is counted down meanwhile."""

A_SECOND = 50
"""So many gates and checkpoints are told anew a second at the most: a long list of them is sent as a whole, and seldom."""

_CHANGE_GATES = (e.RunPlanned, e.GateChecked, e.CommandReused, e.CommandReopened, e.AttemptReturned, e.RunResumed)


class Picture:
    """The parts of a run's picture as of the last look.

    `plan` has the commands as ``[id, kind, expected seconds, box]`` and the graph, `head` the run as a whole, `rows_N`
    the commands as ``[state, attempt, started, seconds, cell, cells, fraction, note, notebook]``, `log_N` the story as
    ``[time, who, what]``, `cards` the failures, `extras` what is to be decided and what can be gone back to.
    """

    def __init__(self, run: Looked) -> None:
        self.run = run
        self.parts: dict[str, Any] = {"plan": {"icons": ICONS}, "head": {}, "cards": [], "extras": {}}
        self._follower = Follower(run.folder / JOURNAL)
        self._rows: list[list[Any]] = []
        self._log: list[list[Any]] = []
        self._drawn = 0
        self._place: dict[str, int] = {}
        self._after: dict[str, list[str]] = {}
        self._running: set[str] = set()
        self._counts: dict[str, int] = {}
        self._failed: dict[str, None] = {}
        self._cards_due = False
        self._eta: tuple[float, float | None] = (0.0, None)
        self._owned = False
        self._touched: set[str] = set()
        self._is_stale = True
        self._gates: list[list[Any]] = []
        self._points: list[dict[str, Any]] = []
        self._points_of: object = None
        self._lists_at = 0.0
        self._lists_are_stale = True

    @property
    def state(self) -> RunState:
        """The state that is shown."""
        return self._follower.state

    @property
    def is_driven(self) -> bool:
        """True while a living process owns the run, as far as the last look found."""
        return self._owned

    @property
    def is_over(self) -> bool:
        """True when the run has ended and its owner is gone."""
        return self.state.run.state in ENDED and not self._owned

    def look(self) -> list[str]:
        """Take in what was recorded since the last look and return the names of the parts that changed.

        Raises StoreError when the journal cannot be read.
        """
        now = time.time()
        owned = self.run.is_running  # before the journal is read: an owner that is gone has recorded everything
        changed: list[str] = []
        touched = self._touched  # what a look that failed has taken in is drawn by the next one
        for turn in self._follower.turns():
            self._is_stale = True
            if any(isinstance(event, e.RunPlanned) for event in turn):
                self._lay_out()
                touched.update(self._place)
                changed.append("plan")
            for event in turn:
                self._take(event, touched)
        live = self.run.live() if owned else {}
        touched |= self._running | live.keys()
        fresh = self._is_stale = self._is_stale or owned != self._owned
        self._owned = owned
        changed += self._draw_rows(touched, live)
        if fresh or (owned and self.state.run.state == "executing" and now >= self._eta[0] + ETA_EVERY):
            changed += self._keep("head", self._head(now))
        if self._cards_due:
            changed += self._keep("cards", self._cards())
        if fresh or self._lists_are_stale:
            changed += self._keep("extras", self._extras(now))
        changed += self._draw_log()
        touched.clear()
        self._cards_due = self._is_stale = False
        return changed

    def svg(self) -> str:
        """Return the graph as it stands."""
        return draw_graph(self.state, self._folded(), title=self.state.run.workflow)

    # ── taking in ───────────────────────────────────────────────────────────────────────────────────────────────

    def _lay_out(self) -> None:
        state = self.state
        self._place = {name: place for place, name in enumerate(state.planned)}
        self._rows = [[] for _ in self._place]
        self._counts = {}
        self._eta = (0.0, None)
        self._after = {}
        for name, planned in state.planned.items():
            for other in planned.upstream:
                self._after.setdefault(other, []).append(name)
        folded = self._folded()
        box_of = {name: box for box, names in folded.members.items() for name in names}
        expected = expected_seconds(state)
        self.parts["plan"] = {
            "commands": [
                [name, planned.kind, _short(expected.get(name)), box_of.get(name, "")]
                for name, planned in state.planned.items()
            ],
            "svg": draw_graph(state, folded, title=state.run.workflow, clickable=True),
            "icons": ICONS,
            "folder": str(self.run.folder),
            "home": os.path.expanduser("~"),
            "chunk": CHUNK,
        }

    def _folded(self) -> Folded:
        state = self.state
        return fold_graph(
            {name: planned.upstream for name, planned in state.planned.items()},
            {name: planned.matrix for name, planned in state.planned.items()},
        )

    def _take(self, event: e.Event, touched: set[str]) -> None:
        command = getattr(event, "command", None)
        if command in self._place:
            touched.add(command)
            record = self.state.commands[command]
            if record.state == "running":
                self._running.add(command)
            else:
                self._running.discard(command)
            if record.state in FINAL:
                touched.update(self._after.get(command, ()))
            if record.failure is not None:
                self._failed[command] = None
            self._cards_due |= command in self._failed
        # Most commands have no gates: what becomes of them is not looked up anew.
        if isinstance(event, _CHANGE_GATES) and (command not in self._place or self.state.planned[command].steps):
            self._lists_are_stale = True
        said = told_in_full(event, self.state)
        if said is not None:
            self._log.append([round(event.at, 1), said[0], as_text(said[1])[: 3 * LONGEST]])

    # ── drawing ─────────────────────────────────────────────────────────────────────────────────────────────────

    def _keep(self, name: str, value: Any) -> list[str]:
        if self.parts.get(name) == value:
            return []
        self.parts[name] = value
        return [name]

    def _draw_rows(self, touched: Iterable[str], live: Mapping[str, Mapping[str, Any]]) -> list[str]:
        chunks: dict[int, None] = {}
        for name in touched:
            place = self._place.get(name)
            if place is None:
                continue
            row, before = row_of(name, self.state, live.get(name, {})), self._rows[place]
            if row == before:
                continue
            self._rows[place] = row
            chunks[place // CHUNK] = None
            if before:
                self._counts[before[0]] -= 1
            self._counts[row[0]] = self._counts.get(row[0], 0) + 1
        for number in chunks:
            self.parts[f"rows_{number}"] = self._rows[number * CHUNK : (number + 1) * CHUNK]
        return [f"rows_{number}" for number in chunks]

    def _draw_log(self) -> list[str]:
        changed = []
        for number in range(self._drawn // LOG_CHUNK, len(self._log) // LOG_CHUNK + 1):
            changed += self._keep(f"log_{number}", self._log[number * LOG_CHUNK : (number + 1) * LOG_CHUNK])
        self._drawn = len(self._log)
        return changed

    def _head(self, now: float) -> dict[str, Any]:
        state, run = self.state, self.state.run
        left = self._left(now) if self._owned and run.state in ("executing", "completing") else None
        return {
            "run": self.run.id,
            "workflow": run.workflow,
            "phase": state.phase,
            "reason": run.reason,
            "owned": self._owned,
            "now": round(now, 2),
            "started": run.started,
            "ended": run.ended,
            "slots": run.slots,
            "total": len(state.commands),
            "counts": {kind: number for kind, number in self._counts.items() if number},
            "left": None if left is None else round(left, 1),
            "logs": len(self._log) // LOG_CHUNK + 1,
            "deviations": sum(map(len, state.deviations.values())),
            "next": list(self.run.result.next_steps) if not self._owned else [],
        }

    def _left(self, now: float) -> float | None:
        """Return the seconds that the run will still take, estimated anew where that was done a while ago."""
        at, left = self._eta
        if left is None or now >= at + ETA_EVERY:
            # While nothing runs until somebody has decided, nobody knows how long that takes.
            asks = not self._running and any(True for _ in self.state.open_decisions())
            at, left = self._eta = now, None if asks else remaining_seconds(self.state, now=now)
        return None if left is None else max(0.0, left - (now - at))

    def _cards(self) -> list[list[str]]:
        """Return ``[command, HTML]`` for each failure that is told, in the order of the plan."""
        cards: list[list[str]] = []
        result = None
        for name in sorted(self._failed.keys() & self._place.keys(), key=self._place.__getitem__):
            record = self.state.commands[name]
            if record.failure is not None and record.state in ("failed", "crashed", "waiting") and len(cards) < CARDS:
                result = result or self.run.result
                notebook, log = result.notebooks.get(name), result.logs.get(name)
                cards.append([name, card_html(name, record.failure, notebook, log, cell=record.cell)])
        return cards

    def _extras(self, now: float) -> dict[str, Any]:
        if self._points_of is not self.state.checkpoints:
            self._lists_are_stale = True
        patience = (len(self._gates) + len(self._points)) // A_SECOND
        if self._lists_are_stale and (not self._owned or now >= self._lists_at + patience):
            self._gates = checked_of(self.state, self.run.folder)
            self._points_of, self._points = self.state.checkpoints, points_of(self.state)
            self._lists_are_stale, self._lists_at = False, now
        return {
            "parameters": parameters_of(self.state),
            "decisions": asked_of(self.state),
            "checkpoints": self._points,
            "gates": self._gates,
        }


def row_of(name: str, state: RunState, live: Mapping[str, Any]) -> list[Any]:
    """Return a command's row; see `Picture`. Numbers that nobody knows are None."""
    record = state.commands[name]
    shown = state.command_state(name)
    cell, cells = record.cell if record.cell is not None else (None, None)
    fraction = live.get("fraction") if shown == "running" and live.get("attempt") == record.attempt else None
    if fraction is None and shown == "running" and cell is not None and cells:
        fraction = (cell - 1) / cells
    return [
        shown,
        record.attempt,
        round(record.started, 1) if record.started is not None and shown == "running" else record.due,
        round(record.seconds, 3) if record.ended is not None else None,
        cell,
        cells,
        None if fraction is None else round(float(fraction), 3),
        as_text(_note(shown, record, live))[:LONGEST],
        record.notebook,
    ]


def _note(shown: str, record: CommandRecord, live: Mapping[str, Any]) -> str:
    if shown == "running":
        lines: Sequence[Any] = live.get("lines", ())
        return str(live.get("text") or (lines[-1] if lines else ""))
    if record.failure is not None and shown in ("failed", "crashed", "waiting"):
        return headline(record.failure)
    return record.reason


def draw_graph(state: RunState, folded: Folded, *, title: str, clickable: bool = False) -> str:
    """Return the graph with the states of its commands as SVG that a script can bring up to date."""
    boxes = {}
    for name in folded.upstream:
        members = folded.members.get(name, [name])
        kinds = [state.command_state(member) for member in members]
        kind = gathered_state(kinds)
        done = sum(one in FINAL for one in kinds)
        note = f"{done} of {len(members)} done" if len(members) > 1 else _box_note(state.commands[members[0]], kind)
        boxes[name] = Box(
            label=name,
            note=note,
            title=f"{name}: {GLYPHS[kind].words}, {note}" if note != GLYPHS[kind].words else f"{name}: {note}",
            state=kind,
            fraction=done / len(members) if len(members) > 1 or done else None,
        )
    return graph_svg(folded.upstream, boxes=boxes, title=f"the graph of {title}", paper=False, clickable=clickable)


def _box_note(record: CommandRecord, kind: str) -> str:
    return duration(record.seconds) if kind == "succeeded" else GLYPHS[kind].words


LOUDEST = ("failed", "crashed", "running", "waiting", "ready", "cancelled", "upstream_failed", "pending")


def gathered_state(states: Sequence[str]) -> str:
    """Return the state that is shown for several commands together: the one that most wants to be seen."""
    return next((state for state in LOUDEST if state in states), states[0] if states else "pending")


def _short(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 2)
