"""Whether a run is what its journal says: the chain, the fold, the results against their hashes, the manifest."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from orchestrator_nb.data.artifacts import Artifacts
from orchestrator_nb.errors import OrchestratorError, StoreError
from orchestrator_nb.events import Stored
from orchestrator_nb.journal.follow import Follower
from orchestrator_nb.journal.owner import is_owned
from orchestrator_nb.journal.store import JOURNAL
from orchestrator_nb.orchestrator.frozen import FILE as DEFINITION
from orchestrator_nb.orchestrator.frozen import Frozen
from orchestrator_nb.orchestrator.manifest import FILE as MANIFEST
from orchestrator_nb.orchestrator.result import ARTIFACTS
from orchestrator_nb.records import CommandRecord
from orchestrator_nb.state import RunState
from orchestrator_nb.transitions import ENDED


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """Something that is not as it was recorded: where, what is wrong, and how it is mended."""

    place: str
    what: str
    repair: str

    def __str__(self) -> str:
        return f"{self.place}: {self.what}; {self.repair}"


def audit_run(folder: Path) -> list[Finding]:
    """Check one run and return what is wrong with it; nothing is changed. A torn tail is no finding: it never was."""
    follower = Follower(folder / JOURNAL)
    try:
        state = follower.catch_up()
    except StoreError as error:
        again = "put back a copy of the file from a backup; what it says before that place can still be read"
        return [Finding(place=str(folder / JOURNAL), what=str(error), repair=again)]
    if state.run.state == "new":
        gone = "the first turn was never recorded and nothing has run: delete the folder"
        return [Finding(place=str(folder / JOURNAL), what="it holds no whole turn", repair=gone)]
    return [*_definition(folder), *_results(folder, state), *_manifest(folder, state)]


def _definition(folder: Path) -> Iterator[Finding]:
    try:
        Frozen.read(folder)
    except OrchestratorError as error:
        again = "the run can be looked at, but not be resumed: start a new one"
        yield Finding(place=str(folder / DEFINITION), what=str(error), repair=again)


def _results(folder: Path, state: RunState) -> Iterator[Finding]:
    """Read every stored result whole and compare it with its hash."""
    artifacts = Artifacts(folder / ARTIFACTS)
    checked: set[str] = set()
    for command, record in state.commands.items():
        for sha256 in _hashes(_stored_of(record)):
            if sha256 in checked:
                continue
            checked.add(sha256)
            try:
                artifacts.verify(sha256)
            except StoreError as error:
                again = f'delete the file if it is there, and run "{command}" again in a new run'
                yield Finding(place=f'{folder / ARTIFACTS}, result of "{command}"', what=str(error), repair=again)
        for name in filter(None, (record.notebook, record.log)):
            if not (folder / name).is_file():
                again = "nothing depends on it; put it back from a backup if it is missed"
                yield Finding(place=str(folder / name), what=f'the file of "{command}" is gone', repair=again)


def _stored_of(record: CommandRecord) -> Iterator[Stored]:
    if record.result is not None:
        yield record.result
    for named in (record.recorded, record.partial, record.artifacts):
        yield from named.values()


def _hashes(stored: Iterable[Stored]) -> Iterator[str]:
    for item in stored:
        if item.artifact is not None:
            yield item.artifact
        yield from _hashes((item.items or {}).values())


def _manifest(folder: Path, state: RunState) -> Iterator[Finding]:
    """Compare the manifest with the state, and the files that it names with their hashes; not while the run goes on."""
    if is_owned(folder):
        return
    path = folder / MANIFEST
    again = "it is written again when the run is resumed; the journal is the truth"
    try:
        manifest = json.loads(path.read_bytes())
        said, files = manifest["state"], manifest["files"]
    except FileNotFoundError:
        if state.run.state in ENDED:
            yield Finding(place=str(path), what="it is missing, though the run has ended", repair=again)
        return
    except (OSError, ValueError, KeyError, TypeError) as error:
        yield Finding(place=str(path), what=f"it cannot be read: {error}", repair=again)
        return
    if state.run.state in ENDED and said != state.run.state:
        yield Finding(place=str(path), what=f'it says "{said}", the journal "{state.run.state}"', repair=again)
    current = {name for record in state.commands.values() for name in (record.notebook, record.log) if name}
    for item in files:
        yield from _file(folder, item, current)


def _file(folder: Path, item: Any, current: set[str]) -> Iterator[Finding]:
    name, path = str(item["path"]), folder / str(item["path"])
    if name not in current or not path.is_file():
        return
    with open(path, "rb") as file:
        sha256 = hashlib.sha256()
        while block := file.read(1 << 20):
            sha256.update(block)
    if sha256.hexdigest() != item["sha256"]:
        again = "somebody edited it after the run; put it back from a backup, or take it for what it is"
        yield Finding(place=str(path), what="it has changed since the manifest was written", repair=again)
