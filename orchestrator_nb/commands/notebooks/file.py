"""A notebook file as it is before a run: read, checked, and reduced to what a plan needs of it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

from orchestrator_nb.data.quick_jsonschema import import_jsonschema
from orchestrator_nb.errors import Mistake

LARGEST = 256 * 1024 * 1024
"""Bytes above which a notebook is refused: it would be held in memory several times."""

PARAMETERS_TAG = "parameters"
INJECTED_TAG = "injected-parameters"
SKIP_TAG = "skip-execution"
RAISES_TAG = "raises-exception"


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """A cell without its outputs; `kind` is code, markdown or raw."""

    kind: str
    source: str
    tags: tuple[str, ...] = ()

    @property
    def runs(self) -> bool:
        """Whether the kernel is asked to run it."""
        return self.kind == "code" and bool(self.source.strip()) and SKIP_TAG not in self.tags


@dataclass(frozen=True, slots=True, kw_only=True)
class Notebook:
    """A notebook that was read; with `mistakes`, nothing else about it is to be trusted."""

    path: Path
    cells: tuple[Cell, ...] = ()
    metadata: Mapping[str, Any] = field(default_factory=dict)
    mistakes: tuple[Mistake, ...] = ()

    @property
    def parameters_cell(self) -> Cell | None:
        """The cell tagged `parameters`, None where there is none."""
        return next((cell for cell in self.cells if PARAMETERS_TAG in cell.tags), None)

    @property
    def kernel(self) -> str | None:
        """The name of the kernel that the notebook was written with."""
        name = _mapping(self.metadata.get("kernelspec")).get("name")
        return name if isinstance(name, str) and name else None

    @property
    def language(self) -> str | None:
        """The programming language that the notebook says it is written in."""
        known = (
            _mapping(self.metadata.get("language_info")).get("name"),
            _mapping(self.metadata.get("kernelspec")).get("language"),
        )
        return next((name for name in known if isinstance(name, str) and name), None)

    @property
    def source(self) -> str:
        """The sources of its code cells: the only part of it that makes a difference to a run."""
        return "\n# %%\n".join(cell.source for cell in self.cells if cell.kind == "code")


def read(path: Path) -> Notebook:
    """Return the notebook at `path`, or one that carries the mistakes for which it cannot be used."""
    try:
        status = path.stat()
    except (OSError, ValueError) as error:
        return _refused(path, f'there is no notebook "{path}"', found=_reason(error), expected="a file *.ipynb")
    if path.is_dir():
        return _refused(path, f'the notebook "{path}" is a directory', expected="a file *.ipynb")
    if status.st_size > LARGEST:
        found, most = f"{status.st_size / 2**20:.0f} MiB", f"at most {LARGEST // 2**20} MiB; clear its outputs"
        return _refused(path, f'the notebook "{path}" is too large', found=found, expected=most)
    return _read(path, status.st_mtime_ns, status.st_size)


def load(path: Path) -> Any:
    """Return the notebook at `path` as nbformat's `NotebookNode` in the newest minor version of format 4.

    Cells without ids get some. Meant for a file that `read` found no mistake in; raises OSError and ValueError.
    """
    import_jsonschema()
    import nbformat

    v4: Any = nbformat.v4
    document = json.loads(path.read_text(encoding="utf-8-sig"))
    _repair_ids(document)
    return v4.upgrade(v4.to_notebook(document))


@lru_cache(maxsize=128)
def _read(path: Path, changed: int, size: int) -> Notebook:  # noqa: ARG001  # part of the cache's key
    """Read a file; the time of its last change and its size are there to tell versions apart."""
    try:
        document = json.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        return _refused(path, f'the notebook "{path}" cannot be read', found=_reason(error))
    except UnicodeDecodeError as error:
        found = f"byte 0x{error.object[error.start]:02x} at {error.start}"
        return _refused(path, f'the notebook "{path}" is not UTF-8', found=found)
    except json.JSONDecodeError as error:
        if size == 0:
            return _refused(path, f'the notebook "{path}" is empty', expected="a notebook in nbformat 4")
        mistake = Mistake(
            f'"{path.name}" is not a notebook: not valid JSON, {error.msg}', "/notebook", str(path), error.lineno,
            error.colno,
        )  # fmt: skip
        return Notebook(path=path, mistakes=(mistake,))
    except RecursionError:
        return _refused(path, f'"{path}" is not a notebook: it is nested too deeply')
    mistake_of_form = _check_form(path, document)
    if mistake_of_form is not None:
        return Notebook(path=path, mistakes=(mistake_of_form,))
    cells = tuple(map(_cell, document["cells"]))
    tagged = [index for index, cell in enumerate(cells) if PARAMETERS_TAG in cell.tags]
    if len(tagged) > 1:
        places = ", ".join(str(index) for index in tagged)
        message = f'the notebook "{path}" has {len(tagged)} cells tagged "{PARAMETERS_TAG}"'
        return _refused(path, message, found=f"cells {places} (from 0)", expected="one")
    if tagged and cells[tagged[0]].kind != "code":
        message = f'the cell tagged "{PARAMETERS_TAG}" of the notebook "{path}" is not a code cell'
        return _refused(path, message, found=f"cell {tagged[0]} is {cells[tagged[0]].kind}")
    return Notebook(path=path, cells=cells, metadata=_mapping(document.get("metadata")))


def _check_form(path: Path, document: Any) -> Mistake | None:
    """Return what keeps the document from being a notebook in format 4."""
    import_jsonschema()
    import nbformat

    lead = f'"{path}" is not a notebook that can be run'
    if not isinstance(document, dict):
        return _mistake(lead, found=f"JSON {_json_name(document)}", expected="an object in nbformat 4")
    version = document.get("nbformat")
    if version != 4 or isinstance(version, bool):
        found = f"nbformat {json.dumps(version)}" if "nbformat" in document else 'no "nbformat"'
        upgrade = f"nbformat 4; `jupyter nbconvert --to notebook --inplace {path.name}` upgrades older ones"
        return _mistake(lead, found=found, expected=upgrade)
    try:
        _repair_ids(document)
        nbformat.validate(document, relax_add_props=True)
    except nbformat.ValidationError as error:
        steps = list(error.absolute_path)
        place = f"cell {steps[1]}: " if len(steps) > 1 and steps[0] == "cells" else ""
        key = f' at "{".".join(map(str, steps))}"' if steps else ""
        return _mistake(f"{lead}: {place}{_shortened(error.message)}{key}")
    except Exception as error:  # noqa: BLE001 - it stumbles over lists and strings where it expects objects
        return _mistake(f"{lead}: {type(error).__name__}: {_shortened(str(error))}")
    return None


def _repair_ids(document: dict[str, Any]) -> None:
    """Give ids to the cells that have none or that of another cell, as other tools do in silence."""
    if not isinstance(document.get("nbformat_minor"), int) or document["nbformat_minor"] < 5:
        return
    cells = document.get("cells")
    seen: set[str] = set()
    for index, cell in enumerate(cells if isinstance(cells, list) else ()):
        if isinstance(cell, dict):
            if not isinstance(cell.get("id"), str) or cell["id"] in seen:
                cell["id"] = f"cell-{index}-{len(seen)}"
            seen.add(cell["id"])


def _cell(plain: Mapping[str, Any]) -> Cell:
    source = plain.get("source", "")
    tags = _mapping(plain.get("metadata")).get("tags", ())
    return Cell(
        kind=str(plain["cell_type"]),
        source=source if isinstance(source, str) else "".join(source),
        tags=tuple(map(str, tags)) if isinstance(tags, list) else (),
    )


def _refused(path: Path, message: str, *, found: str | None = None, expected: str | None = None) -> Notebook:
    return Notebook(path=path, mistakes=(_mistake(message, found=found, expected=expected),))


def _mistake(message: str, *, found: str | None = None, expected: str | None = None) -> Mistake:
    return Mistake(message, "/notebook", found=found, expected=expected)


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _json_name(value: Any) -> str:
    names = {list: "list", str: "string", bool: "boolean", int: "number", float: "number", type(None): "null"}
    return names.get(type(value), type(value).__name__)


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)


def _shortened(text: str, most: int = 200) -> str:
    return text if len(text) <= most else text[:most] + " …"
