"""Gates on figures: targets of time, memory and tokens; better than the last good run; far from history."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Any

from orchestrator_nb.definition.models import CommandDefinition, GateDefinition
from orchestrator_nb.drawing.numbers import number
from orchestrator_nb.errors import Mistake, OrchestratorError, UsageError
from orchestrator_nb.events import CellFinished
from orchestrator_nb.journal.file import read
from orchestrator_nb.plan.pools import amount
from orchestrator_nb.ports import Gate, Subject, Verdict
from orchestrator_nb.quality.lookups import values_of
from orchestrator_nb.quality.use import NUMBER, TEXTS, texts, wrong_options
from orchestrator_nb.state.records import CommandRecord
from orchestrator_nb.state.timing import timing

JOURNAL = "journal.jsonl"


AT_MOST = ("seconds", "busy", "wait", "waste", "idle", "coordination", "overhead", "cpu", "memory", "retries")
AT_LEAST = ("speed_up", "efficiency")
"""The figures of a run that can have targets, as `run.metrics()` names them."""


class TargetsGate(Gate):
    """A command took at most what its `targets` say: seconds of the attempt, memory (the peak of a notebook's kernel, in
    bytes), and any other name a metric or a value that it recorded, such as tokens.

    Required of a run, its options are the targets: at most so many seconds, so much of its time as overhead (0.05) and
    so on, at least such a speed-up or efficiency.
    """

    name = "targets"

    def check(
        self,
        gate: GateDefinition,
        command: CommandDefinition | None,
        *,
        folder: Path,  # noqa: ARG002 - the contract
    ) -> list[Mistake]:
        """Return options that are none, and where there are no targets."""
        if command is None:
            found = wrong_options(gate, {**dict.fromkeys((*AT_MOST, *AT_LEAST), NUMBER), "memory": (*NUMBER, str)})
            if not gate.options:
                there = ", ".join((*AT_MOST, *AT_LEAST))
                found.append(Mistake("there are no targets", "/options", expected=f"some of {there}"))
            return found
        found = wrong_options(gate, {})
        if not command.targets:
            found.append(Mistake("there are no targets", "/gate", expected="it on a command that has `targets`"))
        return found

    def verdict(self, subject: Subject) -> Verdict:
        """Hold each figure against its target."""
        if subject.definition is None:
            return _of_run(subject)
        value: dict[str, Any] = {}
        over = []
        for name, target in subject.definition.targets.items():
            most = amount(target) if isinstance(target, str) else target
            value[name] = found = _figure(name, subject)
            if found > most:
                over.append(f"{name} is {number(found, beside=most)}, more than {target}")
        said = ", ".join(f"{name} ≤ {target}" for name, target in subject.definition.targets.items())
        return Verdict(holds=not over, value=value, expected=said, message="; ".join(over))


def _of_run(subject: Subject) -> Verdict:
    """Hold the figures of the run up to now against its targets; one that was not measured misses its target."""
    found = timing(read(subject.run_folder / JOURNAL))
    figures = {**found.figures(), "memory": found.peak_memory, "retries": found.retries}
    value, missed, said = {}, [], []
    for name, target in subject.options.items():
        least, bound = name in AT_LEAST, amount(target) if isinstance(target, str) else target
        value[name] = figure = figures[name]
        said.append(f"{name} {'≥' if least else '≤'} {target}")
        if figure is None:
            missed.append(f"{name} was not measured")
        elif figure < bound if least else figure > bound:
            missed.append(f"{name} is {number(figure, beside=bound)}, {'less' if least else 'more'} than {target}")
    return Verdict(holds=not missed, value=value, expected=", ".join(said), message="; ".join(missed))


def _figure(name: str, subject: Subject) -> float:
    if name == "seconds":
        return subject.record.seconds
    if name == "memory" and "memory" not in subject.record.metrics:
        return _peak_memory(subject)
    found = subject.value(name)
    if not isinstance(found, NUMBER):
        raise UsageError(f'"{name}" is no number; found {type(found).__name__}')
    return found


def _peak_memory(subject: Subject) -> int:
    peaks = [
        event.peak_memory
        for event in read(subject.run_folder / JOURNAL)
        if isinstance(event, CellFinished)
        and (event.command, event.attempt) == (subject.command, subject.record.attempt)
        and event.peak_memory is not None
    ]
    if not peaks:
        raise UsageError(
            "its memory was not measured: that of a notebook's kernel is, on Linux; anything else says it by "
            'context.metric("memory", bytes)'
        )
    return max(peaks)


class BaselineGate(Gate):
    """A value is better than in the last run that completed, by at least `absolute` and by at least the part `relative`
    of what it was (both 0; below 0 it may be worse by so much). `better` is lower or higher, `value` its name."""

    name = "baseline"

    def check(
        self,
        gate: GateDefinition,
        command: CommandDefinition | None,
        *,
        folder: Path,  # noqa: ARG002 - the contract
    ) -> list[Mistake]:
        """Return wrong options."""
        kinds = {"value": (str,), "better": (str,), "absolute": NUMBER, "relative": NUMBER}
        found = wrong_options(gate, kinds, needed=("value", "better"))
        if gate.options.get("better", "lower") not in ("lower", "higher"):
            found.append(Mistake('"better" is no direction', "/options/better", expected="lower or higher"))
        if command is None:
            found.append(
                Mistake("a baseline is that of a command", "/gate", expected="it among the gates of a command")
            )
        return found

    def verdict(self, subject: Subject) -> Verdict:
        """Compare with the last run that completed."""
        options = subject.options
        name, sign = options["value"], 1 if options["better"] == "higher" else -1
        now = subject.value(name)
        before = subject.value(f"baseline.{name}") if any(True for _ in subject.earlier()) else None
        if before is None:
            return Verdict(
                holds=True, value={name: now}, message="no earlier run has completed: there is no baseline yet"
            )
        if not isinstance(now, NUMBER) or not isinstance(before, NUMBER):
            raise UsageError(f'"{name}" is no number: {now!r} now, {before!r} before')
        wanted = [options["absolute"]] if "absolute" in options else []
        wanted += [options["relative"] * abs(before)] if "relative" in options else []
        least = max(wanted, default=0)
        gain = (now - before) * sign
        return Verdict(
            holds=gain >= least,
            value={name: now, f"baseline.{name}": before},
            expected=f"{name} is {options['better']} than the baseline by at least {number(least)}",
            message=""
            if gain >= least
            else f"{name} is {number(now, beside=before)}, it was {number(before, beside=now)}",
        )


class AnomalyGate(Gate):
    """The figures of a command are not far from what they were in earlier runs; a warning unless it is said otherwise.

    Looked at are its duration and the number of its outputs, or what `of` names. Far is more than `factor` (5) times the
    median deviation from the median, and more than half of the median. With fewer than `runs` (5) it holds.
    """

    name = "anomaly"

    def check(
        self,
        gate: GateDefinition,
        command: CommandDefinition | None,
        *,
        folder: Path,  # noqa: ARG002 - the contract
    ) -> list[Mistake]:
        """Return wrong options."""
        found = wrong_options(gate, {"of": TEXTS, "factor": NUMBER, "runs": (int,)})
        if command is None:
            found.append(Mistake("history is that of a command", "/gate", expected="it among the gates of a command"))
        return found

    def verdict(self, subject: Subject) -> Verdict:
        """Compare the figures with those of earlier runs."""
        options = subject.options
        names = texts(options.get("of")) or ["seconds", "outputs"]
        history = list(subject.history())
        value: dict[str, Any] = {}
        far = []
        for name in names:
            now = figure(subject.record, subject.run_folder, name)
            value[name] = now
            known = [found for record, folder in history if (found := figure(record, folder, name)) is not None]
            if now is None or len(known) < options.get("runs", 5):
                continue
            usual = median(known)
            spread = 1.4826 * median(abs(found - usual) for found in known)
            if abs(now - usual) > max(options.get("factor", 5) * spread, abs(usual) / 2):
                far.append(
                    f"{name} is {number(now, beside=usual)}, usual is {number(usual, beside=now)} (of {len(known)} runs)"
                )
        return Verdict(
            holds=not far,
            value=value,
            expected="figures as in earlier runs",
            message="; ".join(far)
            or ("" if len(history) >= options.get("runs", 5) else f"{len(history)} earlier runs"),
        )


def figure(record: CommandRecord, folder: Path, name: str) -> float | None:
    """Return a figure of a command: its seconds, how many outputs it gave, or a number by its name; None without it."""
    if name == "seconds":
        return record.seconds
    if name == "outputs":
        return float(sum(1 for _ in _outputs(record, folder)))
    try:
        found = values_of(record, folder)[name]()
    except (KeyError, OrchestratorError, OSError):
        return None
    return float(found) if isinstance(found, NUMBER) and not isinstance(found, bool) else None


def _outputs(record: CommandRecord, folder: Path) -> Iterator[str]:
    """Yield the outputs of the cells of the notebook that it left, and what it recorded."""
    yield from record.recorded
    yield from record.artifacts
    if record.notebook is not None:
        try:
            cells = json.loads((folder / record.notebook).read_bytes())["cells"]
        except (OSError, ValueError, KeyError):
            return
        for cell in cells:
            yield from (output.get("output_type", "") for output in cell.get("outputs", ()))
