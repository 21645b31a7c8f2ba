"""How a gate is used: the options that it takes, the tools that it needs, and the code that it looks at."""

from __future__ import annotations

import importlib.util
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from orchestrator_nb.commands.importing import CannotImport, load_module
from orchestrator_nb.commands.notebooks.file import read
from orchestrator_nb.definition.models import CommandDefinition, GateDefinition
from orchestrator_nb.definition.names import nearest
from orchestrator_nb.definition.values import described
from orchestrator_nb.errors import Mistake, UsageError

EXTRA = 'pip install "orchestrator-nb[gates]"'
"""What installs the tools of all our gates."""

Kinds = Mapping[str, tuple[type, ...]]
"""The options of a gate, each with the types that it may be of."""

TEXTS = (str, list)
NUMBER = (int, float)
_WORDS = {
    str: "text",
    list: "a list",
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    dict: "a mapping",
}


def wrong_options(gate: GateDefinition, kinds: Kinds, *, needed: tuple[str, ...] = ()) -> list[Mistake]:
    """Return what is wrong with the options: unknown ones, others than are meant, and those that are missing."""
    found = []
    for name, value in gate.options.items():
        if name not in kinds:
            there = ", ".join(kinds) or "none"
            found.append(Mistake(f'"{gate.gate}" has no option "{name}"', f"/options/{name}", expected=there,
                                 nearest=nearest(name, list(kinds))))  # fmt: skip
        elif not isinstance(value, kinds[name]) or (isinstance(value, bool) and bool not in kinds[name]):
            expected = " or ".join(dict.fromkeys(_WORDS[kind] for kind in kinds[name]))
            found.append(Mistake(f'"{name}" is not as it should be', f"/options/{name}", found=described(value),
                                 expected=expected))  # fmt: skip
    found += [
        Mistake(f'"{gate.gate}" needs the option "{name}"', "/options") for name in needed if name not in gate.options
    ]
    return found


def missing_tools(gate: GateDefinition, *modules: str) -> list[Mistake]:
    """Return one line for the tools that are not installed, with what installs them."""
    missing = [name for name in modules if importlib.util.find_spec(name) is None]
    if not missing:
        return []
    what = " and ".join(f'"{name}"' for name in missing)
    return [
        Mistake(f'the gate "{gate.gate}" needs {what}, not installed for {sys.executable}', "/gate", expected=EXTRA)
    ]


def missing_program(gate: GateDefinition, program: str) -> list[Mistake]:
    """Return one line for a program that is not there, with what installs it."""
    if program_path(program) is not None:
        return []
    return [
        Mistake(f'the gate "{gate.gate}" needs the program "{program}", which is not there', "/gate", expected=EXTRA)
    ]


def program_path(program: str) -> str | None:
    """Return where a program is: beside this Python, else on the search path."""
    return shutil.which(program, path=str(Path(sys.executable).parent)) or shutil.which(program)


def texts(value: Any) -> list[str]:
    """Return an option that is a text or a list of them as a list."""
    return [value] if isinstance(value, str) else [str(item) for item in value or ()]


def code_files(options: Mapping[str, Any], command: CommandDefinition | None, folder: Path) -> list[Path]:
    """Return the files with the code to look at: those of `paths` (globs too), else the command's notebook, module or
    scripts. Raises UsageError where there are none."""
    named = texts(options.get("paths"))
    if named:
        found = [path for text in named for path in (sorted(folder.glob(text)) or [folder / text])]
    elif command is None:
        raise UsageError("of a run nothing says which code is meant; expected `paths`")
    else:
        found = _of_command(command, folder)
    missing = [str(path) for path in found if not path.exists()]
    if missing or not found:
        raise UsageError(f"there is no code to look at: {', '.join(missing) or 'expected `paths`'}")
    return found


def _of_command(command: CommandDefinition, folder: Path) -> list[Path]:
    if command.notebook is not None:
        return [folder / command.notebook]
    if command.call is not None and not command.call.startswith("__main__:"):
        try:
            file = getattr(load_module(command.call.partition(":")[0], folder=folder), "__file__", None)
        except CannotImport:
            file = None
        return [Path(file)] if file else []
    return [folder / text for text in command.shell or () if text.endswith(".py")]


def notebook_code(path: Path) -> tuple[str, list[tuple[int, int]]]:
    """Return the code of a notebook as a module, and for each of its lines the cell (from 0) and the line in that
    (from 1). What only IPython understands is left out, its line with it."""
    lines: list[str] = []
    places: list[tuple[int, int]] = []
    for number, cell in enumerate(read(path).cells):
        if cell.kind != "code" or cell.source.lstrip().startswith("%%"):
            continue
        for place, line in enumerate(cell.source.splitlines(), 1):
            is_magic = line.lstrip().startswith(("%", "!")) or line.rstrip().endswith("?")
            indent = line[: len(line) - len(line.lstrip())]
            lines.append(f"{indent}pass" if is_magic else line)
            places.append((number, place))
    return "\n".join([*lines, ""]), places
