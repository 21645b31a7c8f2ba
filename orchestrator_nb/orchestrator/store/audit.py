"""Whether a run is what its journal says: each room is asked for its own check."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from orchestrator_nb.commands.processes import left_processes
from orchestrator_nb.data.artifacts import Artifacts, digest
from orchestrator_nb.data.check import check_artifacts
from orchestrator_nb.data.finding import Finding as Finding  # noqa: PLC0414 - handed on
from orchestrator_nb.data.shared_values import stored_in
from orchestrator_nb.data.stored import load
from orchestrator_nb.errors import OrchestratorError, ResultRefused, StoreError
from orchestrator_nb.events import Stored
from orchestrator_nb.executors.outputs import check_outputs
from orchestrator_nb.journal.check import check_journal, check_length
from orchestrator_nb.journal.file import Position
from orchestrator_nb.journal.owner import is_owned
from orchestrator_nb.orchestrator.display.result import ARTIFACTS
from orchestrator_nb.orchestrator.frozen import FILE as DEFINITION
from orchestrator_nb.orchestrator.frozen import Frozen
from orchestrator_nb.orchestrator.store.invariants import Invariants
from orchestrator_nb.orchestrator.store.manifest import FILE as MANIFEST
from orchestrator_nb.orchestrator.store.manifest import manifest_text
from orchestrator_nb.state.records import CommandRecord
from orchestrator_nb.state.run_state import RunState
from orchestrator_nb.state.transitions import DONE, ENDED


def audit_run(folder: Path, *, index: bool = True) -> list[Finding]:
    """Check one run and return what is wrong with it; nothing of the run is changed.

    Looked at are the journal's chain, its fold and its times, what ran and was held at each moment, every result against
    its hash and its declared type, the files of the run against the manifest, what should have been let go of, its
    checkpoints against their store, and with `index` the history's rows.
    """
    journal = check_journal(folder, each=Invariants(folder, at_rest=True).take)
    findings, state = journal.findings, journal.state
    if state.run.state == "new" or journal.damaged:  # what else there is cannot be held against anything
        return findings
    findings += [*_definition(folder, state), *_results(folder, state), *_missing_files(folder, state)]
    if not is_owned(folder):  # what goes on is not at rest, and not all written
        findings += [*_manifest(folder, state, journal.position), *_resources(folder), *_checkpoints(folder, state)]
        if index:
            from orchestrator_nb.journal.index.check import check_index

            findings += check_index(folder.parent, folder.name)
    return findings


def _definition(folder: Path, state: RunState) -> Iterator[Finding]:
    """Read what was frozen, and hold the results against the outputs that it declares."""
    try:
        frozen = Frozen.read(folder)
    except OrchestratorError as error:
        again = "the run can be looked at, but not be resumed: start a new one"
        yield Finding(place=str(folder / DEFINITION), what=str(error), repair=again)
        return
    artifacts = Artifacts(folder / ARTIFACTS)
    for command in frozen.definition.commands:
        record = state.commands.get(command.id)
        if record is None or record.state not in DONE or not command.outputs:
            continue
        recorded = {**record.recorded, **record.artifacts}
        try:
            result = record.result or Stored(form="json")
            check_outputs(
                command.outputs,
                result=result,
                recorded=recorded,
                load=lambda it: load(it, artifacts=artifacts, live=None),
            )
        except ResultRefused as error:
            again = f'run "{command.id}" again: orchestrator-nb resume {folder.name} --from {command.id}'
            yield Finding(place=f'{folder}, outputs of "{command.id}"', what=str(error), repair=again)
        except OrchestratorError:
            continue  # that a file is gone is found where files are looked at


def _results(folder: Path, state: RunState) -> Iterator[Finding]:
    """Read every stored result whole and compare it with its hash."""
    needed: dict[str, tuple[str, str]] = {}
    for command, record in state.commands.items():
        again = f'delete the file if it is there, and run "{command}" again in a new run'
        for sha256 in _hashes(_stored_of(record)):
            needed.setdefault(sha256, (f'result of "{command}"', again))
        for gate in record.gates.values():
            for sha256 in _hashes(filter(None, (gate.evidence,))):
                again = "nothing depends on it: the verdict is in the journal"
                needed.setdefault(sha256, (f'evidence of the gate "{gate.gate}" of "{command}"', again))
    for version in state.versions:
        again = f'run "{version.command}" again: orchestrator-nb resume {folder.name} --from {version.command}'
        for sha256 in _hashes(stored_in((*version.changes.values(), *version.made.values()))):
            needed.setdefault(sha256, (f'value shared by "{version.command}" (version {version.number})', again))
    for gate in state.run.gates.values():
        for sha256 in _hashes(filter(None, (gate.evidence,))):
            again = "nothing depends on it: the verdict is in the journal"
            needed.setdefault(sha256, (f'evidence of the requirement "{gate.gate}"', again))
    yield from check_artifacts(folder / ARTIFACTS, needed)


def _missing_files(folder: Path, state: RunState) -> Iterator[Finding]:
    for command, record in state.commands.items():
        for name in filter(None, (record.notebook, record.log)):
            if not (folder / name).is_file():
                again = "nothing depends on it; put it back from a backup if it is missed"
                yield Finding(place=str(folder / name), what=f'the file of "{command}" is gone', repair=again)


def _stored_of(record: CommandRecord) -> Iterator[Stored]:
    for stored in (record.result, record.preserved):
        if stored is not None:
            yield stored
    for named in (record.recorded, record.partial, record.artifacts):
        yield from named.values()
    yield from stored_in((record.shared or {}).values())


def _hashes(stored: Iterable[Stored]) -> Iterator[str]:
    for item in stored:
        if item.artifact is not None:
            yield item.artifact
        yield from _hashes((item.items or {}).values())


def _manifest(folder: Path, state: RunState, position: Position) -> Iterator[Finding]:
    """Compare the manifest with the journal, and the files that it names with their hashes."""
    path = folder / MANIFEST
    again = "it is written again when the run is resumed; the journal is the truth"
    try:
        text = path.read_bytes()
        manifest = json.loads(text)
        said, files, known = manifest["state"], manifest["files"], manifest.get("journal")
        too_short = [] if known is None else list(check_length(folder, known, position))
    except FileNotFoundError:
        if state.run.state in ENDED:
            yield Finding(place=str(path), what="it is missing, though the run has ended", repair=again)
        return
    except (OSError, ValueError, KeyError, TypeError) as error:
        yield Finding(place=str(path), what=f"it cannot be read: {error}", repair=again)
        return
    yield from too_short
    if state.run.state in ENDED and said != state.run.state:
        yield Finding(place=str(path), what=f'it says "{said}", the journal "{state.run.state}"', repair=again)
        return
    if known is not None and known.get("seq") != position.seq:
        return  # the run was gone on with since, and killed
    changed = [finding for item in files for finding in _file(folder, item)]
    yield from changed
    if changed or too_short:
        return
    with suppress(StoreError):  # a result that is gone is found where results are looked at
        if text != manifest_text(folder, state, known):
            yield Finding(place=str(path), what="it is not what the journal and the files come to", repair=again)


def _file(folder: Path, item: Any) -> Iterator[Finding]:
    try:
        name, said = str(item["path"]), item["sha256"]
    except (KeyError, TypeError):
        return  # the whole of it is compared besides
    path = folder / name
    if path.is_file() and digest(path)[0] != said:
        again = "somebody edited it after the run; put it back from a backup, or take it for what it is"
        yield Finding(place=str(path), what="it has changed since the manifest was written", repair=again)


def _checkpoints(folder: Path, state: RunState) -> Iterator[Finding]:
    """Hold the checkpoints that the journal tells of against their store."""
    if not state.checkpoints and not state.rollbacks:
        return
    from orchestrator_nb.checkpoints.check import check_checkpoints

    with suppress(OrchestratorError):  # a definition that cannot be read is found where it is looked at
        project = Frozen.read(folder).folder
        yield from check_checkpoints(
            project, runs=folder.parent, run=state.run.run, taken=state.checkpoints, rolled_back=state.rollbacks
        )


def _resources(folder: Path) -> Iterator[Finding]:
    """Look for what nobody drives any more and is there all the same."""
    pids = left_processes(folder)
    if pids:
        again = "resume the run, which ends them first, or end them by hand"
        what = f"nobody drives the run, and processes of it are alive: {', '.join(map(str, pids))}"
        yield Finding(place=str(folder), what=what, repair=again)
