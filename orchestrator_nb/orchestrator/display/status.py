"""How a run stands, as rows and as a plain table."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from msgspec import Struct, field

from orchestrator_nb.orchestrator.display.decisions import decisions_of
from orchestrator_nb.orchestrator.display.shown import as_text, headline
from orchestrator_nb.state.records import CommandRecord
from orchestrator_nb.state.run_state import RunState
from orchestrator_nb.state.standing import told_of_milestones

COLUMNS = ("command", "state", "attempt", "seconds", "note")
MANY = 8
"""So many cells of a matrix have lines of their own at the most, where there is nothing to say about them."""

_QUIET = frozenset({"pending", "ready", "succeeded", "reused", "skipped", "upstream_failed", "cancelled"})


class Status(Struct, frozen=True, kw_only=True):
    """A run at a moment: its state, one row a command, and what should be known. Prints as a table, in which many cells
    of a matrix that stand alike are one line."""

    run: str
    workflow: str
    state: str
    reason: str
    owned: bool
    rows: tuple[dict[str, Any], ...]
    notices: tuple[str, ...]
    decisions: tuple[str, ...] = ()
    milestones: Mapping[str, bool] = field(default_factory=dict)

    @classmethod
    def of(
        cls, run: str, state: RunState, *, owned: bool, live: Mapping[str, Mapping[str, Any]] | None = None
    ) -> Status:
        """Return the status that a state shows; `owned` tells whether a living process drives the run, `live` what the
        commands under way say about how far they are."""
        return cls(
            run=run,
            workflow=state.run.workflow,
            state=state.phase,
            reason=state.run.reason,
            owned=owned,
            rows=tuple(
                {
                    "command": name,
                    "state": state.command_state(name),
                    "attempt": record.attempt,
                    "seconds": round(record.seconds, 2),
                    "note": _note(record, (live or {}).get(name, {})),
                    **({"matrix": planned.matrix} if (planned := state.planned[name]).matrix else {}),
                }
                for name, record in state.commands.items()
            ),
            notices=tuple(f"{item.command}: {item.text}" if item.command else item.text for item in state.notices),
            decisions=tuple(str(decision) for decision in decisions_of(state) if decision.is_open),
            milestones=state.milestones(),
        )

    def __str__(self) -> str:
        from orchestrator_nb.drawing.columns import in_columns

        table = [COLUMNS, *(tuple(str(row[name]) for name in COLUMNS) for row in gathered(self.rows))]
        reached = [told_of_milestones(self.milestones)] if self.milestones else []
        return as_text("\n".join([self._lead(), *in_columns(table), *reached, *self.notices, *self.decisions]))

    def __repr__(self) -> str:
        return str(self)

    def _repr_html_(self) -> str:
        from orchestrator_nb.drawing.table import table_card

        return table_card(self._lead(), COLUMNS, gathered(self.rows))

    def _lead(self) -> str:
        lead = f"{self.run}: {self.state}" + (f" ({self.reason})" if self.reason else "")
        if not self.owned and self.state in ("executing", "recovering", "degraded", "initializing"):
            lead += ", but the process that ran it is gone: it can be resumed"
        return lead


def gathered(rows: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Return the rows with one in the place of more than `MANY` cells of a matrix that are in the same quiet state."""
    alike: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    for row in rows:
        if row.get("matrix") and row["state"] in _QUIET:
            alike.setdefault((row["matrix"], row["state"]), []).append(row)
    shown: list[Mapping[str, Any]] = []
    for row in rows:
        cells = alike.get((row.get("matrix", ""), row["state"]), [])
        if len(cells) <= MANY:
            shown.append(row)
        elif row is cells[0]:
            notes = {cell["note"] for cell in cells}
            together = {
                "command": f"{row['matrix']} ({len(cells):,} cells)",
                "attempt": max(cell["attempt"] for cell in cells),
                "seconds": round(sum(cell["seconds"] for cell in cells), 2),
                "note": notes.pop() if len(notes) == 1 else "",
            }
            shown.append({**row, **together})
    return shown


def _note(record: CommandRecord, live: Mapping[str, Any]) -> str:
    if record.state == "running":
        parts = [f"cell {record.cell[0]} of {record.cell[1]}"] if record.cell is not None else []
        if isinstance(live.get("fraction"), int | float):
            parts.append(f"{live['fraction']:.0%} {live.get('text', '')}".rstrip())
        return ", ".join(parts or [str(line) for line in live.get("lines", ())[-1:]])
    if record.failure is not None and record.state in ("failed", "crashed", "waiting"):
        return headline(record.failure)
    return record.reason
