"""Why a command is as it is: the facts of the journal that led there, in words."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Iterator

from msgspec import Struct

from orchestrator_nb import events as e
from orchestrator_nb.definition.names import instead
from orchestrator_nb.errors import UsageError
from orchestrator_nb.orchestrator.display.shown import as_text, listed
from orchestrator_nb.state.escalation import LEVELS
from orchestrator_nb.state.run_state import RunState
from orchestrator_nb.state.transitions import DONE, FINAL
from orchestrator_nb.state.trigger_rules import DEFAULT

MANY = 10
"""So many cells, and reasons of cells, are named at the most."""


PASSING = {True: "which may pass by itself", False: "which does not pass by itself", None: "which may pass or not"}
"""What is said of an error, by whether it is transient."""


class Why(Struct, frozen=True, kw_only=True):
    """A command's state and the facts that led there, the earliest first; prints as text."""

    command: str
    state: str
    facts: tuple[str, ...]

    def __str__(self) -> str:
        lead = f'"{self.command}" is {self.state.replace("_", " ")}:'
        return as_text("\n".join([lead, *(f"  {fact}" for fact in self.facts)]))

    def __repr__(self) -> str:
        return str(self)


def why(command: str, events: Iterable[e.Event], state: RunState) -> Why:
    """Return the story of a command; of a matrix command, where its cells stand, by its id in the definition.

    Raises UsageError for one that the run does not have.
    """
    cells = [name for name, planned in state.planned.items() if planned.matrix == command]
    if cells and command not in state.commands:
        return _of_cells(command, cells, state)
    if command not in state.commands:
        raise UsageError(f'the run has no command "{command}"; {instead(command, state.commands)}')
    return Why(
        command=command,
        state=state.command_state(command),
        facts=(*_past(command, events), *_present(command, state)),
    )


def _of_cells(matrix: str, cells: list[str], state: RunState) -> Why:
    """Return where the cells of a matrix stand, and of those that did not succeed the reasons."""
    states = Counter(state.command_state(name) for name in cells)
    counted = ", ".join(f"{count:,} {its.replace('_', ' ')}" for its, count in states.items())
    reasons: dict[str, list[str]] = {}
    for name in cells:
        record = state.commands[name]
        if record.state not in DONE and (record.failure is not None or record.reason):
            text = record.failure.message if record.failure is not None else record.reason
            reasons.setdefault(f"{state.command_state(name).replace('_', ' ')}: {text}", []).append(name)
    facts = [f"{listed(names, MANY)} {text}" for text, names in list(reasons.items())[:MANY]]
    if len(reasons) > MANY:
        facts.append(f"and {len(reasons) - MANY:,} other reasons; ask about a cell by its id")
    return Why(command=matrix, state=f"a matrix of {len(cells):,} cells, {counted}", facts=tuple(facts))


def _past(command: str, events: Iterable[e.Event]) -> Iterator[str]:
    for event in events:
        told = _of_run(event) if getattr(event, "command", None) is None else None
        if getattr(event, "command", None) == command:
            told = _of_command(event)
        if told is not None:
            yield f"{time.strftime('%Y-%m-%d %H:%M:%S', time.localtime(event.at))}  {told}"


def _of_run(event: e.Event) -> str | None:
    """Return what a fact about the whole run says, if it bears on every command."""
    match event:
        case e.RunPaused(reason=reason, by=by):
            return f"the run was paused{_by(by)}: {reason}"
        case e.RunStopping(reason=reason, by=by):
            return f"the run was stopped{_by(by)}: {reason}"
        case e.RunResumed(by=by):
            return f"the run was resumed{_by(by)}"
        case e.DefinitionChanged(changes=changes):
            return f"the definition had changed: {'; '.join(changes)}"
    return None


def _by(by: object) -> str:
    return f" by {by.get('user')} (process {by.get('pid')} on {by.get('host')})" if isinstance(by, dict) else ""


def _of_command(event: e.Event) -> str | None:
    match event:
        case e.AttemptStarted(attempt=attempt, holds=holds):
            held = ", ".join(f"{name}: {amount:,}" for name, amount in holds.items())
            return f"attempt {attempt} started" + (f", holding {held}" if held else "")
        case e.AttemptReturned(attempt=attempt, seconds=seconds):
            return f"attempt {attempt} returned after {seconds:.2f} s; its results are stored"
        case e.AttemptFailed(attempt=attempt, seconds=seconds, failure=failure, crashed=crashed):
            cell = f" in cell {failure.cell}" if failure.cell is not None else ""
            name = f"{failure.types[0].rpartition('.')[2]}: " if failure.types else ""
            what = "crashed" if crashed else "failed"
            return f"attempt {attempt} {what} after {seconds:.2f} s{cell} ({failure.kind}): {name}{failure.message}"
        case e.AttemptAbandoned(attempt=attempt, failure=failure):
            return f"attempt {attempt} did not end when it was asked to ({failure.kind}) and was left behind"
        case e.AttemptInterrupted(attempt=attempt, reason=reason):
            return f"attempt {attempt} came to nothing: {reason}"
        case e.RetryScheduled(retry=retry, retries=retries, due=due, reason=reason):
            when = time.strftime("%H:%M:%S", time.localtime(due))
            if reason.startswith("put off"):
                return f"retry {retry} was put off until {when}{reason.removeprefix('put off')}"
            return f"retry {retry} of {retries} was set for {when}"
        case e.ResourcesProbed():
            return _of_probe(event)
        case e.RetryDue():
            return "the time of the retry had come"
        case e.CommandSucceeded(attempt=attempt):
            return f"it succeeded with attempt {attempt}"
        case e.ReuseDeclined(reason=reason):
            return f"reuse: it runs: {reason}"
        case e.CommandReused(reason=reason, origin=origin, origin_attempt=attempt):
            return f"it was reused: {reason}; it ran in {origin}, attempt {attempt}"
        case e.CommandAccepted(by=by):
            return f"its result was accepted{_by(by)} for its code and its files as they were then"
        case e.CommandFailed(reason=reason) | e.CommandCrashed(reason=reason):
            return "it was given up" + (f": {reason}" if reason else "")
        case e.CommandSkipped(reason=reason):
            return f"it was skipped: {reason}"
        case e.UpstreamFailed(upstream=upstream):
            return f"it cannot run, because {', '.join(upstream)} did not succeed"
        case e.CommandCancelled(reason=reason):
            return f"it was cancelled: {reason}"
        case e.CommandReopened(reason=reason):
            return f"it was opened anew: {reason}"
        case e.CommandRestored(state=state, attempt=attempt):
            return f"a rollback gave it back what it had come to before: {state}, by attempt {attempt}"
        case e.DeviationRecorded(text=text):
            return f"deviation: {text}"
        case e.NoticeGiven(text=text, by=by):
            return f"notice{_by(by)}: {text}"
    return _of_decision(event)


def _of_probe(event: e.ResourcesProbed) -> str:
    """Return what was found before a retry, and what had changed since the attempt before."""
    found = [f"{free // 2**20:,} MiB free in {folder}" for folder, free in event.disk.items()]
    found += [] if event.memory is None else [f"{event.memory // 2**20:,} MiB of memory"]
    found += [] if event.files is None else [f"{event.files:,} more files"]
    found += [f"{host} is reached" if not why else f"{host} is not reached: {why}" for host, why in event.hosts.items()]
    return "; ".join(("before the retry there was " + (", ".join(found) or "nothing to be known"), *event.changed))


def _of_decision(event: e.Event) -> str | None:
    match event:
        case e.ErrorClassified(error=error, severity=severity, transient=transient, evidence=evidence):
            told = f", told by {', '.join(evidence)}" if evidence else ""
            return f"an error of the kind {error.replace('_', ' ')}, {severity}, {PASSING[transient]}{told}"
        case e.CommandAdapted(reason=reason):
            return f"it was changed: {reason}"
        case e.DecisionRequested(number=number, level=level, by=by):
            return f"decision {number} was asked for{_by(by)} (level {level}, {LEVELS[level]})"
        case e.DecisionDue(number=number):
            return f"nobody had answered decision {number} in time"
        case e.DecisionMade(number=number, answer=answer, by=by, by_default=by_default, note=note):
            whose = " by default" if by_default else _by(by)
            return f'decision {number} was made{whose}: "{answer}"' + (f", {note}" if note else "")
        case e.AttemptTakenOver(attempt=attempt):
            return f"attempt {attempt} was done by hand"
    return None


def _present(command: str, state: RunState) -> Iterator[str]:
    """Yield what it waits for now, down to the commands that are the cause."""
    record = state.commands[command]
    if record.state == "pending":
        planned = state.planned[command]
        missing = [name for name in planned.upstream if state.commands[name].state not in FINAL]
        if missing and state.verdict(command) == "wait":
            rule = "" if planned.trigger_rule == DEFAULT else f"by its trigger rule {planned.trigger_rule} "
            names = listed([f"{name} ({state.command_state(name)})" for name in missing], MANY)
            yield f"now: {rule}it waits for {names}"
        elif state.run.state == "executing":
            workers = state.run.workers
            few = "" if workers is None else f"; memory is short, and at most {workers} at a time start"
            yield f"now: its upstream is done; it waits for one of {state.run.slots} slots{few}"
        else:
            yield f"now: its upstream is done; the run is {state.run.state}" + (
                f" ({state.run.reason})" if state.run.reason else ""
            )
    elif record.state == "waiting" and record.due is not None:
        yield f"now: it waits for its retry, {max(0.0, record.due - time.time()):.1f} s from now"
    decision = state.open_decision(command)
    if decision is not None:
        yield f"now: it waits for decision {decision.number}: {' or '.join(decision.options)}"
    for name in _causes(command, state):
        cause = state.commands[name]
        text = cause.failure.message if cause.failure is not None else cause.reason
        yield f"cause: {name} is {cause.state}" + (f": {text}" if text else "")


def _causes(command: str, state: RunState) -> list[str]:
    """Return the commands upstream that did not succeed, or were skipped, by their own doing."""
    found: dict[str, None] = {}
    seen, open_ = {command}, [command]
    while open_:
        for name in state.planned[open_.pop()].upstream:
            its = state.commands[name].state
            if name in seen or its in DONE:
                continue
            seen.add(name)
            if its == "upstream_failed" or (its == "skipped" and _is_held_back(name, state)):
                open_.append(name)
            elif its in ("failed", "crashed", "cancelled", "skipped"):
                found[name] = None
    return list(found)


def _is_held_back(command: str, state: RunState) -> bool:
    """Say whether something upstream did not succeed: then that is the cause, and not the command itself."""
    return any(state.commands[name].state not in DONE for name in state.planned[command].upstream)
