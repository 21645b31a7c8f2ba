"""What happens in a run, told to people: a line for each fact that they want to know of."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence

from orchestrator_nb import events as e
from orchestrator_nb.drawing.glyphs import counted, duration
from orchestrator_nb.orchestrator.display.shown import as_text, headline
from orchestrator_nb.state.run_state import RunState


def lines_of(events: Sequence[e.Event], state: RunState) -> Iterator[str]:
    """Yield a line for each event that a person wants to know of."""
    width = max(map(len, state.commands), default=0)
    for event in events:
        said = told(event, state)
        if said is not None:
            who, what = said
            clock = time.strftime("%H:%M:%S", time.localtime(event.at))
            yield as_text(f"{clock} {who:<{width}}  {what}".rstrip() if who else f"{clock} {what}")


def told(event: e.Event, state: RunState) -> tuple[str, str] | None:
    """Return who an event is about and what it says, None for one that is not told."""
    if isinstance(event, _ABOUT_THE_RUN):
        return "", _of_run(event, state)
    command = getattr(event, "command", None)
    if isinstance(event, e.NoticeGiven):
        return command or "", event.text
    if isinstance(event, (e.DecisionRequested, e.DecisionMade)):
        return command or "", _of_command(event, state) or ""
    if command is None:
        return None
    what = _of_command(event, state)
    return None if what is None else (command, what)


def told_in_full(event: e.Event, state: RunState) -> tuple[str, str] | None:
    """Return the same for a log, where there is room: gates, checkpoints and who decided are told too."""
    if isinstance(event, e.GateChecked):
        found = f": {event.message}" if event.message else ""
        warns = "" if event.blocking or event.verdict == "passed" else ", a warning only"
        return event.command or "", f"gate {event.gate}: {event.verdict}{warns}{found}"
    if isinstance(event, e.CheckpointTaken):
        of = event.message or event.boundary
        return event.command or "", f"checkpoint {event.id.rpartition('/')[2]} of {counted(event.files, 'file')}: {of}"
    if isinstance(event, e.DecisionMade) and not event.by_default:
        who = str((event.by or {}).get("user") or "")
        by, note = f" by {who}" if who else "", f": {event.note}" if event.note else ""
        return event.command or "", f'decision {event.number}: "{event.answer}"{by}{note}'
    return told(event, state)


_ABOUT_THE_RUN = (
    e.RunPlanned, e.RunResumed, e.RunPaused, e.RunStopping, e.RunEnded, e.DefinitionChanged, e.JournalCut,
    e.CheckpointSkipped, e.RollbackAsked, e.RolledBack, e.RollbackFailed,
)  # fmt: skip


def _of_run(event: e.Event, state: RunState) -> str:
    if isinstance(event, e.RunPlanned):
        return f"{state.run.workflow}: {counted(len(event.commands), 'command')}, {state.run.slots} at a time"
    if isinstance(event, e.RunResumed):
        return f'run "{state.run.run}" goes on' + (f": {event.reason}" if event.reason else "")
    if isinstance(event, e.RunPaused):
        return f"paused: {event.reason}"
    if isinstance(event, e.RunStopping):
        return f"stopping: {event.reason}"
    if isinstance(event, e.RunEnded):
        return f"{event.state}" + (f": {event.reason}" if event.reason else "")
    if isinstance(event, e.DefinitionChanged):
        return f"changed since the run began: {'; '.join(event.changes)}"
    if isinstance(event, e.CheckpointSkipped):
        of = f'"{event.gate or event.command}"' if event.gate or event.command else event.boundary
        return f"no checkpoint of {of}: {event.reason}"
    if isinstance(event, e.RollbackAsked):
        what = f"to {event.to}" if event.to else f"without {', '.join(event.undo)}"
        return f"will be rolled back {what} once nothing runs: {event.because}"
    if isinstance(event, e.RolledBack):
        files = counted(len(event.restored) + len(event.removed) + len(event.beside), "file")
        kept = f", {counted(len(event.conflicts), 'file')} left as they are" if event.conflicts else ""
        return f"rolled back {event.what}: {files}, {counted(len(event.commands), 'command')} to run again{kept}"
    if isinstance(event, e.RollbackFailed):
        return f"not rolled back: {event.reason}"
    return "a torn end of the journal was moved aside"


def _of_command(event: e.Event, state: RunState) -> str | None:
    if isinstance(event, e.AttemptStarted):
        return "started" if event.attempt == 1 else f"started, attempt {event.attempt}"
    if isinstance(event, e.CommandSucceeded):
        return f"succeeded in {duration(state.commands[event.command].seconds)}"
    if isinstance(event, e.CommandReused):
        return event.reason or f"reused from {event.origin}"
    if isinstance(event, e.ReuseDeclined):
        return f"reuse: runs: {event.reason}"
    if isinstance(event, e.AttemptFailed):
        what = "crashed" if event.crashed else "failed"
        return f"{what} after {duration(event.seconds)}: {headline(event.failure)}"
    if isinstance(event, e.RetryScheduled):
        if event.reason.startswith("put off"):
            return f"retry {event.reason}; looked at again in {duration(event.due - event.at)}"
        return f"retry {event.retry} of {event.retries} in {duration(event.due - event.at)}"
    if isinstance(event, e.UpstreamFailed):
        return f"not run: {', '.join(event.upstream)} did not succeed"
    if isinstance(event, (e.CommandSkipped, e.CommandCancelled, e.CommandReopened)):
        word = {e.CommandSkipped: "skipped", e.CommandCancelled: "cancelled", e.CommandReopened: "runs anew"}
        return f"{word[type(event)]}: {event.reason}"
    if isinstance(event, e.CommandRestored):
        return f"{event.state} again, as before the rollback"
    if isinstance(event, e.AttemptAbandoned):
        return "did not end when asked to; left behind"
    if isinstance(event, e.AttemptInterrupted):
        return f"interrupted: {event.reason}"
    if isinstance(event, e.DeviationRecorded):
        return f"deviation: {event.text}"
    if isinstance(event, e.DecisionRequested):
        return f"decision {event.number}: {event.question} ({', '.join(event.options)})"
    if isinstance(event, e.DecisionMade):
        return f'decision {event.number}: "{event.answer}"' + (" by default" if event.by_default else "")
    return None
