"""A run in a page of text, for somebody who was not there: what it was, how it ended, where its time went."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from orchestrator_nb.analytics.figures.figure import counted, length, listed
from orchestrator_nb.analytics.recommendations import recommendations
from orchestrator_nb.state.run_state import RunState
from orchestrator_nb.state.standing import told_of_milestones
from orchestrator_nb.state.timing import Timing

MOST_ROWS = 50
"""Commands in the table; of more, the slowest and those in trouble."""

TROUBLE = ("failed", "crashed", "upstream_failed", "cancelled", "waiting")


def lead(timing: Timing, state: RunState) -> list[str]:
    """Return the paragraphs that say what a run came to."""
    run = state.run
    began = datetime.fromtimestamp(run.started or 0.0).astimezone()
    counts = {name: count for name, count in state.counts.items() if count}
    told = ", ".join(f"{count} {name.replace('_', ' ')}" for name, count in counts.items())
    ending = f" ({run.reason})" if run.reason else ""
    first = (
        f"The run {run.run} of the workflow {run.workflow} began on {began:%Y-%m-%d at %H:%M:%S %Z} and is "
        f"{state.phase}{ending}. It took {length(timing.seconds)}; of its {counted(len(state.commands), 'command')}: {told}."
    )
    found = [first]
    if timing.spans and timing.seconds:
        path = [step.span for step in timing.critical_path()]
        found.append(
            f"Its attempts ran for {length(timing.busy)} together, {timing.efficiency or 0.0:.0%} of the time of its "
            f"{counted(timing.slots, 'slot')}, {_fast(timing.speed_up or 0.0)} one after the other. For "
            f"{length(timing.coordination)} ({timing.overhead or 0.0:.1%}) nothing ran. Attempts that came to nothing took "
            f"{length(timing.waste)}, waits {length(timing.waited)}."
        )
        names = list(dict.fromkeys(span.command for span in path))
        found.append(f"What decided its end: {' → '.join(names) if len(names) < 12 else listed(names)}.")
    return found


def _fast(speed_up: float) -> str:
    return f"{speed_up:.2f} times as fast as" if speed_up > 1 else "no faster than"


def command_rows(timing: Timing, state: RunState) -> list[list[str]]:
    """Return a row for each command: its id, state, attempts, time, wait, processor time, memory, and what went wrong."""
    seconds: dict[str, float] = {}
    waited: dict[str, float] = {}
    cpu: dict[str, float] = {}
    memory: dict[str, int] = {}
    for span in timing.spans:
        name = span.command
        seconds[name] = seconds.get(name, 0.0) + span.seconds
        waited[name] = waited.get(name, 0.0) + span.waited
        if span.used is not None:
            cpu[name] = cpu.get(name, 0.0) + (span.used.cpu or 0.0)
            memory[name] = max(memory.get(name, 0), span.used.memory or 0)
    names = list(state.commands)
    if len(names) > MOST_ROWS:
        order = sorted(names, key=lambda name: (state.commands[name].state not in TROUBLE, -seconds.get(name, 0.0)))
        kept = set(order[:MOST_ROWS])
        names = [name for name in names if name in kept]
    rows = []
    for name in names:
        record = state.commands[name]
        said = (
            record.failure.message.splitlines()[0][:160] if record.failure and record.failure.message else record.reason
        )
        rows.append(
            [
                name,
                state.command_state(name),
                str(record.attempt),
                length(seconds.get(name, 0.0)),
                length(waited.get(name, 0.0)),
                length(cpu[name]) if name in cpu else "",
                f"{memory[name] / 1e6:,.0f} MB" if memory.get(name) else "",
                said,
            ]
        )
    return rows


COMMAND_COLUMNS = ("command", "state", "attempts", "time", "waited", "CPU", "memory", "what was said")


def summary_markdown(timing: Timing, state: RunState, *, next_steps: Sequence[str] = ()) -> str:
    """Return the summary of a run as Markdown."""
    lines = [f"# {state.run.run}", ""]
    for paragraph in lead(timing, state):
        lines += [paragraph, ""]
    lines += [*markdown_table(COMMAND_COLUMNS, command_rows(timing, state)), ""]
    milestones = told_of_milestones(state.milestones())
    if milestones:
        lines += [f"{milestones[0].upper()}{milestones[1:]}.", ""]
    if state.deviations:
        lines += ["Deviations:", ""]
        lines += [f"- {name}: {text}" for name, texts in state.deviations.items() for text in texts]
        lines.append("")
    advice = recommendations(timing)
    if advice:
        lines += ["What the figures advise:", "", *(f"- {item}" for item in advice), ""]
    if next_steps:
        lines += [*(f"    {step}" for step in next_steps), ""]
    return "\n".join(lines)


def markdown_table(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> list[str]:
    """Return the lines of a table in Markdown; what would break it is escaped."""
    if not rows:
        return []
    lines = [f"| {' | '.join(columns)} |", f"|{'---|' * len(columns)}"]
    lines += [f"| {' | '.join(_escaped(cell) for cell in row)} |" for row in rows]
    return lines


def _escaped(cell: object) -> str:
    return " ".join(str(cell).split()).replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;")
