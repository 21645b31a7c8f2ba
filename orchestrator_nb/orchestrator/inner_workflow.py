"""The command that runs another workflow: as a run of its own in the same store, which goes on when this one does."""

from __future__ import annotations

import hashlib
import json
import threading
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from orchestrator_nb.commands.arguments import collect
from orchestrator_nb.data.artifacts import Artifacts
from orchestrator_nb.definition.matrix import references_of
from orchestrator_nb.definition.models import CommandDefinition, WorkflowDefinition
from orchestrator_nb.definition.names import nearest
from orchestrator_nb.definition.pointers import child
from orchestrator_nb.definition.references import references_in, secrets_in
from orchestrator_nb.definition.writing import to_plain
from orchestrator_nb.errors import Cancelled, CommandError, DefinitionError, Mistake, OrchestratorError, UsageError
from orchestrator_nb.events import Event, NoticeGiven, Stored
from orchestrator_nb.journal.store import JOURNAL
from orchestrator_nb.orchestrator.display.result import ARTIFACTS, RunResult
from orchestrator_nb.orchestrator.frozen import Frozen
from orchestrator_nb.orchestrator.opening import Opening, OpeningOf, start_opened
from orchestrator_nb.orchestrator.run import Run
from orchestrator_nb.plan.fingerprint import fingerprint
from orchestrator_nb.plan.key import key_of
from orchestrator_nb.ports import Attempt, Command, Observer, Work
from orchestrator_nb.state.run_state import RunState

LONGEST_ID = 140
"""Characters of the id of an inner run; it is the name of a folder."""

ENDED = "the run that it is a part of ends it"


class Inner(Protocol):
    """A workflow, as far as it is needed to run as a part of another."""

    @property
    def definition(self) -> WorkflowDefinition:
        """The definition. Raises DefinitionError."""

    def as_part(
        self,
        parameters: Mapping[str, Any],
        *,
        unknown: Collection[str] = (),
        settled: Collection[str] = (),
        within: tuple[Path, ...] = (),
        parent: str | None = None,
        accept_changes: bool = False,
        observers: Sequence[Observer] = (),
    ) -> Opening:
        """Return the opening of a run of it. Parameters that are `unknown` so far, and what depends on them, are not
        checked; `within` are the files whose workflows this one is a part of. Raises DefinitionError."""


class WorkflowCommand(Command):
    """The type of command `workflow`: a definition, a folder of notebooks or a notebook, run as a workflow.

    Its parameters are those of the inner workflow; one that is not given is the result of the upstream command of that
    name, or the outer workflow's parameter of that name. The result is a mapping from the inner commands to their
    results. The inner run is resumed, and not begun anew, by the next attempt with the same parameters.
    """

    name = "workflow"

    def __init__(
        self, read: Callable[[Path], Inner], *, within: tuple[Path, ...] = (), accept_changes: bool = False
    ) -> None:
        """`read` makes the workflow of a path, `within` are the files of those that these commands are in, and
        `accept_changes` keeps the results of inner commands that succeeded and were changed since."""
        self._read = read
        self._within = within
        self._accept_changes = accept_changes
        self._notes: dict[str, tuple[str, ...]] = {}

    def check(
        self,
        command: CommandDefinition,
        *,
        folder: Path,
        upstream: Mapping[str, str],
        parameters: Collection[str] | None = None,
    ) -> list[Mistake]:
        """Return what is wrong with the parameters, and every mistake of the inner workflow."""
        path = _path(command, folder)
        if path in self._within:
            ring = " → ".join(f'"{file.name}"' for file in (*self._within[self._within.index(path) :], path))
            return [Mistake("a workflow cannot contain itself", "/workflow", found=ring)]
        try:
            inner = self._read(path)
            declared = inner.definition.parameters
            known, unknown = _told_apart(command.parameters)
            mistakes = [_no_parameter(name, declared) for name in unknown if name not in declared]
            for name, parameter in declared.items():
                offered = name in upstream or (parameter.required if parameters is None else name in parameters)
                if offered and name not in known:
                    unknown.add(name)
            opening = inner.as_part(known, unknown=unknown, within=(*self._within, path))
        except DefinitionError as error:
            return list(error.mistakes)
        except OrchestratorError as error:
            return [Mistake(str(error), "/workflow")]
        self._notes[command.id] = opening.plan.notes
        return mistakes

    def wants(self, command: CommandDefinition, *, folder: Path) -> tuple[str, ...]:
        """Return the parameters of the inner workflow that the definition does not give."""
        path = _path(command, folder)
        if path in self._within:
            return ()
        try:
            declared = self._read(path).definition.parameters
        except OrchestratorError:  # said by the check
            return ()
        return tuple(name for name in declared if name not in command.parameters)

    def notes(self, command: CommandDefinition, *, folder: Path) -> list[str]:  # noqa: ARG002 - the contract
        """Return the notes of the inner plan, once it was checked."""
        return list(self._notes.get(command.id, ()))

    def runs_apart(self, command: CommandDefinition) -> bool:  # noqa: ARG002 - the contract
        """Return True: parameters of a run are plain JSON."""
        return True

    def source(self, command: CommandDefinition, *, folder: Path) -> str:
        """Return what the inner workflow's parameters, edges and commands are. Raises DefinitionError."""
        path = _path(command, folder)
        inner = self._read(path)
        definition = inner.definition
        ids = [each.id for each in definition.commands]
        opening = inner.as_part({}, unknown=definition.parameters, settled=ids, within=(*self._within, path))
        fingerprints = {
            name: fingerprint(name, plan=opening.plan, commands=opening.commands) for name in opening.plan.order
        }
        upstream = opening.plan.upstream
        matrices = {each.id: each.matrix for each in definition.commands if each.matrix is not None}
        plain = {
            "parameters": {name: to_plain(item, defaults=True) for name, item in definition.parameters.items()},
            "commands": {name: [fingerprints[name], list(upstream[name])] for name in opening.plan.order},
            **({"matrices": matrices} if matrices else {}),
        }
        return json.dumps(plain, sort_keys=True, default=str)

    def code(self, command: CommandDefinition, *, folder: Path) -> str:
        """Return the keys of the inner commands. Raises UsageError where one of them has to do with files, or is never
        reused: from out here that cannot be looked at."""
        path = _path(command, folder)
        definition = self._read(path).definition
        ids = [each.id for each in definition.commands]
        opening = self._read(path).as_part({}, unknown=definition.parameters, settled=ids, within=(*self._within, path))
        written = {each.id: each for each in definition.commands}
        parts = {}
        for name in opening.plan.order:
            each = written[opening.plan.commands[name].base]
            key = "" if any(secrets_in(each)) else key_of(name, plan=opening.plan, commands=opening.commands)
            if each.reads or each.writes or not key:
                raise UsageError(
                    f'its command "{each.id}" reads or writes files, asks for a secret, or is never reused'
                )
            # Whether it runs decides what the whole gives.
            route = [each.matrix, each.trigger_rule, each.when]
            parts[name] = [key, list(opening.plan.upstream[name]), route]
        declared = {name: to_plain(item, defaults=True) for name, item in definition.parameters.items()}
        return json.dumps([declared, parts], sort_keys=True, default=str)

    def run(self, attempt: Attempt) -> Stored:
        """Start the inner run, or go on with it, wait for its end and return its results.

        Raises CommandError when it did not complete, Cancelled when it was asked to end.
        """
        work = attempt.work
        path = _path(work.definition, work.folder)
        inner = self._read(path)
        given = collect(attempt, inner.definition.parameters)
        opening_of = partial(
            inner.as_part,
            within=(*self._within, path),
            parent=work.run,
            accept_changes=self._accept_changes,
            observers=(partial(_tell_progress, attempt),),
        )
        run = self._begun(
            attempt, opening_of(given), lambda frozen, settled: opening_of(frozen.parameters, settled=settled)
        )
        over = threading.Event()
        if run.is_running:
            attempt.on_end(partial(_end, run, over))
        try:
            result = run.wait(check=False)
        finally:
            over.set()
        if result.succeeded:
            return _results(attempt, result)
        ending = attempt.ending
        if ending is not None:
            raise Cancelled(ending)
        raise _failure(result)

    def _begun(self, attempt: Attempt, opening: Opening, opening_of: OpeningOf) -> Run:
        """Go on with the run that an earlier attempt began with these parameters, else start one."""
        from orchestrator_nb.orchestrator.resuming import resume_opened

        work = attempt.work
        store = work.run_folder.parent
        first = inner_id(work)
        preserved = attempt.load(work.preserved) if work.preserved is not None else {}
        for name in dict.fromkeys((preserved.get("run", first), first)):
            folder = store / name
            if (folder / JOURNAL).is_file() and Frozen.read(folder).parameters == opening.plan.parameters:
                attempt.preserve({"run": name})
                attempt.write_log(f'its run "{name}" goes on\n')
                return resume_opened(folder, opening_of, accept_changes=self._accept_changes)
        name = f"{first}-{work.attempt}" if (store / first / JOURNAL).is_file() else first
        # Known by its name too, should the process die before this is recorded.
        attempt.preserve({"run": name})
        attempt.write_log(f'it runs as "{name}"\n')
        return start_opened(opening, store=store, run=name)


def without_unknown(definition: WorkflowDefinition, unknown: Collection[str]) -> WorkflowDefinition:
    """Return the definition without the reads, writes and matrices that depend on parameters which are not known yet."""

    def known(texts: tuple[str, ...], *, is_open: bool) -> tuple[str, ...]:
        return tuple(text for text in texts if not any(
            each.keys[0] in unknown or (is_open and each.root == "matrix") for each in references_in(text)
        ))  # fmt: skip

    def without(command: CommandDefinition) -> CommandDefinition:
        is_open = _is_open(command, unknown)
        reads, writes = known(command.reads, is_open=is_open), known(command.writes, is_open=is_open)
        matrix = None if is_open else command.matrix
        return command.model_copy(update={"reads": reads, "writes": writes, "matrix": matrix})

    commands = tuple(without(command) for command in definition.commands)
    return definition.model_copy(update={"commands": commands})


def with_open_matrices(definition: WorkflowDefinition, unknown: Collection[str]) -> set[str]:
    """Return the ids of the commands whose cells depend on parameters which are not known yet."""
    return {command.id for command in definition.commands if _is_open(command, unknown)}


def _is_open(command: CommandDefinition, unknown: Collection[str]) -> bool:
    return any(reference.keys[0] in unknown for reference in references_of(command.matrix or {}))


def inner_id(work: Work) -> str:
    """Return the id of the inner run of a command in its generation: that of its run, and more."""
    name = f"{work.run}.{work.command}.{work.generation}"
    if len(name) <= LONGEST_ID:
        return name
    return f"{work.run[: LONGEST_ID - 15]}.{hashlib.sha256(name.encode()).hexdigest()[:12]}"


def _path(command: CommandDefinition, folder: Path) -> Path:
    return (folder / str(command.workflow)).resolve()


def _told_apart(parameters: Mapping[str, Any]) -> tuple[dict[str, Any], set[str]]:
    """Return the parameters whose value is known before the run, and the names of the others."""
    known, unknown = {}, set()
    for name, value in parameters.items():
        try:
            depends = bool(references_in(value))
        except UsageError:  # said by the check of the definition
            depends = True
        if depends:
            unknown.add(name)
        else:
            known[name] = value
    return known, unknown


def _no_parameter(name: str, declared: Mapping[str, Any]) -> Mistake:
    there = ", ".join(f'"{known}"' for known in declared) or "none"
    path = child("/parameters", name)
    text = f'the workflow has no parameter "{name}"'
    return Mistake(text, path, expected=f"its parameters: {there}", nearest=nearest(name, declared))


def _end(run: Run, over: threading.Event, grace: float) -> None:
    """Let the inner run leave: what runs in it gets `grace` seconds and is ended then."""
    with suppress(OrchestratorError):  # it has just ended by itself
        run.interrupt(ENDED, grace=grace)
        if not over.wait(grace):
            run.interrupt(ENDED, grace=0.0)


def _tell_progress(attempt: Attempt, turn: Sequence[Event], state: RunState) -> None:
    if any(type(event).__name__.startswith("Command") for event in turn) and state.commands:
        total = len(state.commands)
        done = total - state.unfinished()
        attempt.progress(done / total, f"{done} of {total} commands")


def _failure(result: RunResult) -> CommandError:
    first = next(iter(result.errors.items()), None)
    if first is None:
        return CommandError(f'its run "{result.run}" is {result.state}: {result.reason}', kind="exception")
    name, failure = first
    message = f'its run "{result.run}" {result.state}: {result.reason}; "{name}": {failure.message}'
    known = {"types": failure.types, "traceback": failure.traceback, "transient": failure.transient}
    return CommandError(message, kind="exception", **known)


def _results(attempt: Attempt, result: RunResult) -> Stored:
    """Return the results of the inner run, with what they are kept in copied to the artifacts of this run."""
    artifacts = Artifacts(result.folder / ARTIFACTS)
    items = {}
    for name, stored in result.outputs.stored.items():
        kept = _kept(attempt, stored, artifacts, at=name)
        if kept is not None:
            items[name] = kept
    for name, texts in result.deviations.items():
        _say(attempt, f'its run "{result.run}" completed with deviations: "{name or "the run"}" {"; ".join(texts)}')
    return Stored(form="mapping", items=items)


def _kept(attempt: Attempt, stored: Stored, artifacts: Artifacts, *, at: str) -> Stored | None:
    if stored.form == "live":
        _say(
            attempt,
            f'the result of its command "{at}", a "{stored.type}", has no stored form and stays in the inner run: '
            "store it there (a model: with skops or onnx to a file) and return the file's Path",
        )
        return None
    if stored.items is not None:
        found = {key: _kept(attempt, item, artifacts, at=f"{at}.{key}") for key, item in stored.items.items()}
        return Stored(form=stored.form, type=stored.type, items={key: item for key, item in found.items() if item})
    if stored.artifact is not None:
        attempt.store(artifacts.path(stored.artifact), at=at)  # the content keeps its hash, and so its name
    return stored


def _say(attempt: Attempt, text: str) -> None:
    work = attempt.work
    attempt.report(NoticeGiven(at=time.time(), text=text, command=work.command, attempt=work.attempt))
