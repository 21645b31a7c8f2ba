"""Notebooks as a workflow: a folder of them in the order that they declare or their names say, or a single one."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

from orchestrator_nb.definition.names import RESERVED, argument_name, nearest, numbered, slug
from orchestrator_nb.definition.notebook_file import assignments, language, parameters_cell, read_notebook
from orchestrator_nb.definition.reading import Loaded, read_definition
from orchestrator_nb.definition.values import described, escaped, misfits
from orchestrator_nb.errors import DefinitionError, Mistake

_NUMBER = re.compile(r"\d+")
_METADATA = ("upstream", "after", "reads", "writes")
_UNORDERED = (
    "no notebook declares an upstream, and not all names begin with a number: they run independently; to order them, "
    'tag a cell of each "parameters" and write in it what comes before, as upstream = ["load"], or begin all names '
    "with a number, as 01-load.ipynb"
)


@dataclass(slots=True)
class _Notebook:
    """A notebook of the folder and what it declares; `upstream` is None when it says nothing of what comes before,
    `untagged` is whether it does say it, where it is not read."""

    path: Path
    id: str
    upstream: list[str] | None = None
    reads: list[str] = field(default_factory=list)
    writes: list[str] = field(default_factory=list)
    parameters: dict[str, Any] = field(default_factory=dict)
    declared_at: str = ""
    untagged: bool = False

    @property
    def names(self) -> set[str]:
        """Every name by which another notebook may name this one as its upstream."""
        return {self.path.name, self.path.stem, self.id, argument_name(self.id)}


def definition_from_folder(folder: str | Path) -> Loaded:
    """Read a folder of notebooks as a workflow, each notebook a command.

    A notebook's parameters cell may say ``upstream = ["clean"]`` and ``product = "clean.parquet"``, or its metadata
    ``{"orchestrator_nb": {"after": […], "reads": […], "writes": […]}}``. Nothing is executed. Where no notebook
    declares an upstream, names that all begin with a number give the order; the notes say so. Hidden files,
    checkpoints and subfolders are left out. A parameter that has the same default in every notebook that has it is the
    workflow's. Raises DefinitionError with every mistake of every notebook.
    """
    around = Path(folder)
    paths = _paths(around)
    notebooks: list[_Notebook] = []
    mistakes: list[Mistake] = []
    for path, name in zip(paths, _ids([path.stem for path in paths]), strict=True):
        found = _Notebook(path, name)
        mistakes += _read(found)
        notebooks.append(found)
    notes: tuple[str, ...] = ()
    if all(found.upstream is None for found in notebooks):
        notes = _infer(notebooks)
    else:
        mistakes += [mistake for found in notebooks for mistake in _resolve(found, notebooks)]
    if mistakes:
        raise DefinitionError(mistakes)
    notes += tuple(
        f'"{found.path.name}" says what comes before it in a cell without the tag "parameters": it is not read'
        for found in notebooks
        if found.untagged
    )
    return _loaded(slug(around.resolve().name, default="workflow"), around, notebooks, notes=notes)


def definition_from_notebook(path: str | Path) -> Loaded:
    """Read one notebook as a workflow of one command, with the literal values in its parameters cell as parameters.

    Raises DefinitionError when the file is not there or is not a notebook.
    """
    found = _Notebook(Path(path), _ids([Path(path).stem])[0])
    mistakes = [mistake for mistake in _read(found) if mistake.path != "/upstream"]
    if mistakes:
        raise DefinitionError(mistakes)
    notes = () if found.upstream is None else ("the upstream that the notebook declares is not run with it",)
    found.upstream = None
    return _loaded(found.id, found.path.parent, [found], notes=notes)


def _loaded(name: str, folder: Path, notebooks: list[_Notebook], *, notes: tuple[str, ...]) -> Loaded:
    commands = {}
    parameters = _common(notebooks)
    for found in notebooks:
        commands[found.id] = {
            "notebook": found.path.name, "after": found.upstream or (), "reads": found.reads, "writes": found.writes,
            "parameters": {name: f"${{{{ parameters.{name} }}}}" for name in found.parameters if name in parameters},
        }  # fmt: skip
    declared = {key: {"type": "any", "default": value} for key, value in parameters.items()}
    loaded = read_definition({"workflow": name, "parameters": declared, "commands": commands}, folder=folder)
    return Loaded(loaded.definition, loaded.folder, None, loaded.place, loaded.origin, notes, loaded.label)


def _common(notebooks: list[_Notebook]) -> dict[str, Any]:
    """Return the parameters that are the workflow's: every notebook that has one gives it the same default.

    A name with several defaults means several things, and one that is also a notebook's may mean its result.
    """
    taken = {name for found in notebooks for name in found.names} if len(notebooks) > 1 else set()
    defaults: dict[str, list[Any]] = {}
    for found in notebooks:
        for name, value in found.parameters.items():
            defaults.setdefault(name, []).append(value)
    return {
        name: values[0]
        for name, values in defaults.items()
        if name not in taken and all(type(value) is type(values[0]) and value == values[0] for value in values)
    }


def _paths(folder: Path) -> list[Path]:
    """Return the notebooks of a folder, by the number that their names begin with, then by name."""
    try:
        there = [path for path in folder.iterdir() if path.suffix == ".ipynb" and _is_source(path)]
    except OSError as error:
        raise DefinitionError([
            Mistake(f"the folder cannot be read: {(error.strerror or str(error)).lower()}", file=str(folder)),
        ]) from None  # fmt: skip
    if not there:
        raise DefinitionError([Mistake("there is no notebook in this folder", file=str(folder),
                                       expected="files that end in .ipynb")])  # fmt: skip
    return sorted(there, key=lambda path: (_number(path.name) is None, _number(path.name) or 0, path.name))


def _is_source(path: Path) -> bool:
    hidden = path.name.startswith((".", "~"))
    return not hidden and not path.stem.lower().endswith(("checkpoint", "checkpoints"))


def _number(name: str) -> int | None:
    number = _NUMBER.match(name)
    return int(number.group()[:18]) if number else None


def _ids(stems: list[str]) -> list[str]:
    taken = set(RESERVED)
    ids = []
    for stem in stems:
        name = numbered(slug(stem, default="notebook"), taken)
        taken.add(name)
        ids.append(name)
    return ids


# ── what a notebook declares ────────────────────────────────────────────────────────────────────────────────────


def _read(found: _Notebook) -> Iterator[Mistake]:
    """Fill in what the notebook's file declares, and yield what is wrong with it."""
    try:
        notebook = read_notebook(found.path)
    except DefinitionError as error:
        yield from error.mistakes
        return
    cell = parameters_cell(notebook)
    if cell is not None and language(notebook) in ("python", "ipython"):
        yield from _read_cell(found, *cell)
    found.untagged = cell is None and any("upstream" in (assignments(source) or ()) for source in _code(notebook))
    metadata = notebook.get("metadata")
    section = metadata.get("orchestrator_nb") if isinstance(metadata, dict) else None
    if section is not None:
        yield from _read_metadata(found, section)


def _code(notebook: dict[str, Any]) -> Iterator[str]:
    """Yield the source of each code cell that could set something with a meaning here."""
    if language(notebook) in ("python", "ipython"):
        for cell in notebook["cells"]:
            if cell["cell_type"] == "code" and "upstream" in cell["source"]:
                yield cell["source"]


def _read_cell(found: _Notebook, place: int, source: str) -> Iterator[Mistake]:
    names = assignments(source)
    if names is None:
        if re.search(r"^(upstream|product)\s*[=:]", source, re.MULTILINE):
            yield Mistake("the parameters cell is not Python", f"/cells/{place}", file=str(found.path))
        return
    for name, (line, node) in names.items():
        try:
            value = ast.literal_eval(node)
        except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError):
            if name in ("upstream", "product"):
                yield Mistake(f'"{name}" is not a literal, line {line} of the cell', f"/cells/{place}", file=str(found.path),
                              found=escaped(ast.unparse(node)), expected='names in quotes, such as ["clean"]')  # fmt: skip
            continue
        if name in ("upstream", "product"):
            yield from _take(found, name, value, f"/cells/{place}")
        elif not name.startswith("__") and not any(misfits(value)):
            found.parameters[name] = value


def _read_metadata(found: _Notebook, section: Any) -> Iterator[Mistake]:
    pointer, file = "/metadata/orchestrator_nb", str(found.path)
    if not isinstance(section, dict):
        yield Mistake("the notebook's metadata cannot be read", pointer, file=file, found=described(section),
                      expected=f"a mapping with {', '.join(_METADATA)}")  # fmt: skip
        return
    for key, value in section.items():
        if key in _METADATA:
            yield from _take(found, key, value, f"{pointer}/{key}")
        else:
            yield Mistake(f"the notebook's metadata has no key {escaped(key)}", f"{pointer}/{key}", file=file,
                          expected=f"one of {', '.join(_METADATA)}", nearest=nearest(key, _METADATA))  # fmt: skip


def _take(found: _Notebook, key: str, value: Any, pointer: str) -> Iterator[Mistake]:
    """Take the names or paths that a declaration lists: one text, a list, a tuple, a mapping or None."""
    items = [] if value is None else [value] if isinstance(value, str) else value
    if isinstance(items, dict):
        items = list(items.values() if key == "product" else items)
    if not isinstance(items, (list, tuple, set)) or not all(isinstance(item, str) and item for item in items):
        yield Mistake(f'the value of "{key}" cannot be used', pointer, file=str(found.path), found=described(value),
                      expected="text, or a list of texts")  # fmt: skip
        return
    names = sorted(items) if isinstance(items, set) else list(dict.fromkeys(items))
    if key in ("upstream", "after"):
        found.upstream = list(dict.fromkeys([*(found.upstream or ()), *names]))
        found.declared_at = pointer
    elif key == "reads":
        found.reads += names
    else:
        found.writes += [name for name in names if name not in found.writes]


# ── the order ───────────────────────────────────────────────────────────────────────────────────────────────────


def _resolve(found: _Notebook, notebooks: list[_Notebook]) -> Iterator[Mistake]:
    """Put ids in the place of the names by which the notebook names its upstream."""
    resolved = []
    for name in found.upstream or ():
        near = [other for other in notebooks if name in other.names] or [
            other for other in notebooks if _number(other.path.name) is not None and slug(name) == _unnumbered(other.id)
        ]
        if len(near) == 1:
            resolved.append(near[0].id)
            continue
        known = [other.path.stem for other in notebooks if other is not found]
        yield Mistake(
            f"there is no notebook {escaped(name)}" if not near else f"several notebooks may be meant by {escaped(name)}",
            found.declared_at, file=str(found.path), nearest=None if near else nearest(name, known),
            found=", ".join(other.path.name for other in near) or None,
            expected=None if near else f"one of {', '.join(known)}",
        )  # fmt: skip
    found.upstream = list(dict.fromkeys(resolved))


def _unnumbered(name: str) -> str:
    return name.lstrip("0123456789").lstrip("-_.")


def _infer(notebooks: list[_Notebook]) -> tuple[str, ...]:
    """Order the notebooks by the numbers that their names begin with, and say what was done."""
    if len(notebooks) == 1:
        return ()
    if any(_number(found.path.name) is None for found in notebooks):
        return (_UNORDERED,)
    for before, found in pairwise(notebooks):
        found.upstream = [before.id]
    order = ", ".join(found.path.name for found in notebooks)
    return (f"no notebook declares an upstream, so they run one after the other, by their numbers: {order}",)
