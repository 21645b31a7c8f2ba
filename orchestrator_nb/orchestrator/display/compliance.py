"""Whether a run kept what was required of it: every gate with its evidence, every deviation, all that was relaxed."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from msgspec import Struct, field

from orchestrator_nb.data.flush import write_whole
from orchestrator_nb.events import GATE
from orchestrator_nb.orchestrator.display.gate_result import NOT_CHECKED, GateResult
from orchestrator_nb.state.records import CommandRecord
from orchestrator_nb.state.run_state import RunState
from orchestrator_nb.state.transitions import ENDED

FILES = ("compliance.json", "compliance.md", "compliance.html")
_HEADS = ("gate", "of", "verdict", "blocking", "found", "expected", "what is wrong", "evidence")


class Compliance(Struct, frozen=True, kw_only=True):
    """The report of a run. `gates` are all its gates, those of commands first, then what is required of the run as a
    whole; `deviations` are by command, empty for the run; `relaxed` says in words what did not hold and was let pass.

    `complies` when the run completed and nothing was relaxed; None while it has not ended.
    """

    run: str
    workflow: str
    state: str
    reason: str
    folder: Path
    gates: tuple[GateResult, ...]
    deviations: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    relaxed: tuple[str, ...] = ()

    @property
    def complies(self) -> bool | None:
        """Whether everything that was required holds."""
        if self.state not in ENDED:
            return None
        return self.state == "completed" and not self.deviations and not self.relaxed

    @property
    def requirements(self) -> tuple[GateResult, ...]:
        """What is required of the run as a whole."""
        return tuple(gate for gate in self.gates if not gate.command)

    def to_plain(self) -> dict[str, Any]:
        """Return it as plain JSON."""
        return {
            "run": self.run,
            "workflow": self.workflow,
            "state": self.state,
            "reason": self.reason,
            "complies": self.complies,
            "requirements": [gate.to_plain(self.folder) for gate in self.requirements],
            "gates": [gate.to_plain(self.folder) for gate in self.gates if gate.command],
            "deviations": {name: list(texts) for name, texts in self.deviations.items()},
            "relaxed": list(self.relaxed),
        }

    def to_markdown(self) -> str:
        """Return it as Markdown."""
        lines = [f"# Compliance of {self.run}", "", self._lead(), ""]
        if self.gates:
            lines += [_row(_HEADS), _row(["---"] * len(_HEADS))]
            lines += [_row([_cell(text) for text in cells]) for cells in self._rows()]
        for title, items in (("Relaxed", self.relaxed), ("Deviations", self._told())):
            if items:
                lines += ["", f"## {title}", "", *(f"- {item}" for item in items)]
        return "\n".join([*lines, ""])

    def to_html(self) -> str:
        """Return it as an HTML document of its own."""
        from html import escape

        title = escape(f"Compliance of {self.run}")
        style = "body{font-family:sans-serif;margin:2em}td,th{text-align:left;padding:.2em .8em;border-bottom:1px solid #ccc}"
        return (
            f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
            f"<style>{style}</style></head><body><h1>{title}</h1>{self._body()}</body></html>\n"
        )

    def _repr_html_(self) -> str:
        from html import escape

        from orchestrator_nb.drawing.table import panel

        title = f"Compliance of {self.run}"
        return panel(f'<div class="onb-head"><b class="onb-name">{escape(title)}</b></div>{self._body()}', label=title)

    def _body(self) -> str:
        from html import escape

        head = "".join(f"<th>{escape(name)}</th>" for name in _HEADS)
        body = "".join(f"<tr>{''.join(f'<td>{escape(text)}</td>' for text in cells)}</tr>" for cells in self._rows())
        parts = [f'<p class="onb-lead">{escape(self._lead())}</p>']
        if self.gates:
            parts.append(
                f'<table class="onb-rows onb-free"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>'
            )
        for title, items in (("Relaxed", self.relaxed), ("Deviations", self._told())):
            if items:
                lines = "".join(f"<li>{escape(item)}</li>" for item in items)
                parts.append(f'<p class="onb-lead"><b>{title}</b></p><ul class="onb-items">{lines}</ul>')
        return "".join(parts)

    def __str__(self) -> str:
        return "\n".join([self._lead(), *map(str, self.gates), *(f"relaxed: {item}" for item in self.relaxed)])

    def __repr__(self) -> str:
        return str(self)

    def _lead(self) -> str:
        how = {True: "complies", False: "does not comply", None: "has not ended"}[self.complies]
        reason = f" ({self.reason})" if self.reason else ""
        passed = sum(gate.passed for gate in self.gates)
        return f"The run {how}: {self.state}{reason}; {passed} of {len(self.gates)} gates passed."

    def _rows(self) -> Iterator[list[str]]:
        from orchestrator_nb.drawing.numbers import rounded

        for gate in self.gates:
            value = "" if gate.value is None else json.dumps(rounded(gate.value), ensure_ascii=False)
            plain = gate.to_plain(self.folder)
            yield [
                gate.gate, gate.command or "the run", gate.verdict, "yes" if gate.blocking else "no", value, gate.expected,
                gate.message, plain.get("evidence", ""),
            ]  # fmt: skip

    def _told(self) -> list[str]:
        return [f"{name or 'the run'}: {text}" for name, texts in self.deviations.items() for text in texts]


def compliance_of(state: RunState, folder: Path) -> Compliance:
    """Return the report of a run as it stands."""
    run, gates = state.run, gates_of(state, folder)
    return Compliance(
        run=run.run,
        workflow=run.workflow,
        state=run.state,
        reason=run.reason,
        folder=folder,
        gates=tuple(gates),
        deviations=dict(state.deviations),
        relaxed=tuple(_relaxed(gates, state)),
    )


def gates_of(state: RunState, folder: Path) -> list[GateResult]:
    """Return the gates of a run: those of its commands, then what is required of it as a whole."""
    gates = [
        gate
        for name, planned in state.planned.items()
        if planned.steps
        for gate in _results(planned.steps, state.commands[name], name, folder)
    ]
    required = CommandRecord(gates=state.run.gates)
    return [*gates, *_results(state.run.steps.get("completion", ()), required, "", folder)]


def _results(steps: tuple[str, ...], record: CommandRecord, command: str, folder: Path) -> Iterator[GateResult]:
    """Yield the results of the gates among some steps, those too that were not checked."""
    for title in (step.removeprefix(GATE) for step in steps if step.startswith(GATE)):
        if title in record.gates:
            yield GateResult.of(record.gates[title], folder)
        elif record.state == "reused":
            message = f"reused from {record.origin}, where it held"
            yield GateResult(gate=title, command=command, verdict="passed", message=message, origin=record.origin)
        else:
            yield GateResult(gate=title, command=command, verdict=NOT_CHECKED)


def _relaxed(gates: list[GateResult], state: RunState) -> Iterator[str]:
    """Yield what did not hold and was let pass: warnings, and the gates of what was not wanted in the end."""
    for gate in gates:
        what = f'the gate "{gate.gate}" of {gate.command or "the run"}'
        if gate.verdict in ("failed", "error") and not gate.blocking:
            yield f"{what} only warns: {gate.message or gate.verdict}"
        elif gate.verdict == NOT_CHECKED and state.run.state == "completed":
            its = state.commands[gate.command].state if gate.command else state.run.state
            yield f"{what} was not checked: it is {its}"
        elif gate.verdict in ("failed", "error") and gate.command in state.deviations:
            yield f'{what} does not hold, and "{gate.command}" is optional'


def write_compliance(folder: Path, state: RunState) -> None:
    """Write the report in its three forms into the run's folder, where the run has gates. Raises StoreError."""
    has_gates = any(step.startswith(GATE) for step in state.run.steps.get("completion", ())) or any(
        step.startswith(GATE) for planned in state.planned.values() for step in planned.steps
    )
    if not has_gates:
        return
    report = compliance_of(state, folder)
    texts = (json.dumps(report.to_plain(), ensure_ascii=False, indent=1) + "\n", report.to_markdown(), report.to_html())
    for name, text in zip(FILES, texts, strict=True):
        write_whole(folder / name, text.encode("utf-8", "backslashreplace"))


def _row(cells: Any) -> str:
    return f"| {' | '.join(cells)} |"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
