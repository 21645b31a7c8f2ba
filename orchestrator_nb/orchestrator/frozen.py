"""What a run keeps of its definition: the definition, where it came from, and the notebooks as they were."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from msgspec import Struct, field

from orchestrator_nb.data.flush import PART, write_whole
from orchestrator_nb.data.plain import indented
from orchestrator_nb.definition.models import CommandDefinition, WorkflowDefinition
from orchestrator_nb.definition.reading import read_definition
from orchestrator_nb.definition.writing import to_dict
from orchestrator_nb.errors import OrchestratorError, StoreError
from orchestrator_nb.orchestrator.session_names import SESSION
from orchestrator_nb.state.run_state import RunState
from orchestrator_nb.state.transitions import GOOD

FILE = "definition.json"
SOURCES = "sources"


class Frozen(Struct, frozen=True, kw_only=True):
    """A definition as a run was started with it.

    `folder` is the definition's folder, `origin` the file, notebook or folder that it was read from, `defined_in` the
    notebook or program in whose session it was made, when it has functions that exist only there. `settings` are those
    that were given at the start, `selected` the commands that the run has to run, None for all; `reuse` says that it
    takes over what is up to date.
    """

    definition: WorkflowDefinition
    folder: Path
    origin: Path | None = None
    defined_in: str | None = None
    parameters: Mapping[str, Any] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)
    selected: tuple[str, ...] | None = None
    reuse: bool = False

    def write(self, run_folder: Path) -> None:
        """Keep it in the run's folder, durably. Raises StoreError."""
        document = {
            "definition": to_dict(self.definition),
            "folder": str(self.folder),
            "origin": None if self.origin is None else str(self.origin),
            "defined_in": self.defined_in,
            "parameters": dict(self.parameters),
            "settings": dict(self.settings),
            "selected": None if self.selected is None else list(self.selected),
            "reuse": self.reuse,
        }
        write_whole(run_folder / FILE, indented(document))

    def session_function(self, state: RunState) -> str | None:
        """Return a command that is not done and that only the session in which it was defined can run, None without."""
        for command in self.definition.commands if self.defined_in is not None else ():
            if command.call is None or not command.call.startswith(SESSION):
                continue
            cells = [name for name, planned in state.planned.items() if command.id in (name, planned.matrix)]
            if not cells or any(state.commands[name].state not in GOOD for name in cells):
                return command.id
        return None

    @classmethod
    def read(cls, run_folder: Path) -> Frozen:
        """Return what a run was started with. Raises StoreError when it is not there or not to be read."""
        path = run_folder / FILE
        try:
            document = json.loads(path.read_bytes())
            return cls(
                definition=read_definition(document["definition"], folder=document["folder"]).definition,
                folder=Path(document["folder"]),
                origin=None if document["origin"] is None else Path(document["origin"]),
                defined_in=document["defined_in"],
                parameters=document["parameters"],
                settings=document.get("settings", {}),
                selected=None if document.get("selected") is None else tuple(document["selected"]),
                reuse=bool(document.get("reuse", False)),
            )
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise StoreError(f'the frozen definition "{path}" cannot be read: {error}') from error


def freeze_sources(commands: Iterable[CommandDefinition], folder: Path, run_folder: Path) -> None:
    """Copy the notebooks of these commands into the run's folder, from where they will be run. Raises StoreError."""
    sources = run_folder / SOURCES
    for command in commands:
        if command.notebook is not None:
            try:
                content = (folder / command.notebook).read_bytes()
            except OSError as error:
                raise StoreError(f'the notebook "{command.notebook}" cannot be read: {error.strerror}') from error
            sources.mkdir(mode=0o700, exist_ok=True)
            write_whole(sources / f"{command.id}.ipynb", content)


def remove_parts(run_folder: Path) -> None:
    """Remove what `write_whole` has left in a run's folder where it died before the file had its name."""
    for part in (*run_folder.glob(PART), *(run_folder / SOURCES).glob(PART)):
        with suppress(OSError):
            part.unlink()


def session_needed(run_folder: Path, state: RunState) -> str | None:
    """Return the session that alone can go on with a run, None where any can."""
    try:
        frozen = Frozen.read(run_folder)
    except OrchestratorError:  # what cannot be read says so to whoever goes on
        return None
    return frozen.defined_in if frozen.session_function(state) is not None else None
