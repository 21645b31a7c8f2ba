"""Reading a definition: from a file, a text or plain data to the model, or to every mistake at once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from orchestrator_nb.definition.checks import mistakes_in
from orchestrator_nb.definition.document import Document, read_file, read_text
from orchestrator_nb.definition.model import Invalid
from orchestrator_nb.definition.models import WorkflowDefinition
from orchestrator_nb.definition.pointers import parent
from orchestrator_nb.definition.spelled import Spelled
from orchestrator_nb.definition.spelling import canonical
from orchestrator_nb.definition.values import visible
from orchestrator_nb.errors import DefinitionError, Mistake


class Loaded(Struct, frozen=True):
    """A valid definition and where it came from.

    `folder` is what its paths are relative to, absolute. `place` gives line and column, from 1, of a JSON pointer into
    the user's document, None where there is no text. `origin` turns a pointer into the canonical data, where commands
    are a list, into one into the user's document. `notes` say what was inferred and not written.
    """

    definition: WorkflowDefinition
    folder: Path
    file: Path | None = None
    place: Callable[[str], tuple[int, int] | None] = Document({}).place
    origin: Callable[[str], str] = str
    notes: tuple[str, ...] = ()
    label: str | None = None

    def placed(self, mistake: Mistake, *, command: str | None = None) -> Mistake:
        """Return the mistake with file, line and column and its path in the user's document.

        Its path is one into the canonical data, or below the named command (``/parameters/day``).
        """
        path = mistake.path
        if command is not None:
            number = next(place for place, body in enumerate(self.definition.commands) if body.id == command)
            path = f"/commands/{number}{path}"
        return _located(mistake, self.origin(path), self.label, self.place)


def read_definition(
    source: str | Path | Mapping[str, Any],
    *,
    file: str | Path | None = None,
    folder: str | Path | None = None,
    name: str | None = None,
) -> Loaded:
    """Read a workflow's definition.

    A Path is a file; a str is one too, unless it has a line break or begins with a brace: then it is the YAML itself.
    `file` names the file that a text or a mapping came from, `folder` is what paths are relative to (the file's
    folder, else the working directory), `name` is the workflow's where the definition names none. Raises
    DefinitionError with every mistake, in the order of the document.
    """
    path = Path(file) if file is not None else None
    if isinstance(source, Mapping):
        document = Document(dict(source), str(path) if path else None)
    elif isinstance(source, str) and ("\n" in source or source.lstrip().startswith("{")):
        document = read_text(source, label=str(path) if path else None)
    else:
        path = Path(source)
        document = read_file(path)
    around = Path(folder) if folder is not None else path.parent if path else Path()
    spelled = canonical(document.data)
    if name is not None:
        spelled.data.setdefault("workflow", name)
    definition = _validated(document, spelled)
    return Loaded(definition, around.absolute(), path.absolute() if path else None, document.place, spelled.origin,
                  label=document.label)  # fmt: skip


def _validated(document: Document, spelled: Spelled) -> WorkflowDefinition:
    """Return the model. Raises DefinitionError with the mistakes of document, spelling, model and cross checks."""
    definition: WorkflowDefinition | None = None
    found: list[Mistake] = []
    try:
        definition = WorkflowDefinition.read(spelled.data)
    except Invalid as error:
        from orchestrator_nb.definition.wording import translate

        found += [mistake for item in error.errors if (mistake := translate(item, spelled.data)) is not None]

    def where(pointer: str) -> str:
        origin = spelled.origin(pointer)
        place = document.place(origin)
        return f"in line {place[0]}, column {place[1]}" if place else f"at {origin}"

    found += mistakes_in(spelled.data, where)
    told = [_located(mistake, mistake.path, document.label, document.place) for mistake in spelled.mistakes]
    told += [_located(item, spelled.origin(item.path), document.label, document.place) for item in found]
    mistakes = _ordered(_once([*document.mistakes, *told]))
    if mistakes or definition is None:
        raise DefinitionError(mistakes)
    return definition


def _located(mistake: Mistake, path: str, label: str | None, place: Callable[[str], tuple[int, int] | None]) -> Mistake:
    line, column = place(path) or (None, None)
    return replace(mistake, path=visible(path), file=label, line=line, column=column)


def _once(mistakes: Iterable[Mistake]) -> Iterable[Mistake]:
    """Leave out what only follows: a second mistake at one place, or one below a place that cannot be read."""
    told: set[str] = set()
    for mistake in mistakes:
        path = mistake.path
        while path and path not in told:
            path = parent(path)
        if not path:
            yield mistake
            told.add(mistake.path)


def _ordered(mistakes: Iterable[Mistake]) -> list[Mistake]:
    return sorted(mistakes, key=lambda mistake: (mistake.line or 0, mistake.column or 0))
