"""The parameters of a notebook: what its tagged cell declares, and whether given values fit."""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from msgspec.structs import replace

from orchestrator_nb.commands.notebooks.file import Cell
from orchestrator_nb.definition.names import nearest
from orchestrator_nb.definition.parameters import name_mistakes, too_large
from orchestrator_nb.definition.pointers import child
from orchestrator_nb.definition.values import described, misfits
from orchestrator_nb.errors import Mistake

CONVENTION = frozenset({"upstream", "product"})
"""Names that ploomber's notebooks declare in their parameters cell; nothing is put into them unasked."""

_TYPES: dict[str, tuple[type, ...]] = {
    "str": (str,),
    "int": (int,),
    "float": (float, int),
    "bool": (bool,),
    "list": (list,),
    "dict": (dict,),
    "None": (type(None),),
}
_OTHER_NAMES = {
    "List": "list", "Sequence": "list", "Iterable": "list", "Dict": "dict", "Mapping": "dict", "NoneType": "None",
    "string": "str", "integer": "int", "boolean": "bool", "number": "float",
}  # fmt: skip
_TYPE_COMMENT = re.compile(r"#\s*type:\s*(.+?)\s*(#.*)?$")
_REFERENCE = "${{"


@dataclass(frozen=True, slots=True, kw_only=True)
class NotebookParameter:
    """A parameter that a notebook declares: `types` are the names of the Python types it takes, empty for any.

    `says` is where that is known from: its annotation, a type comment or its default.
    """

    name: str
    types: tuple[str, ...] = ()
    says: str = ""


def inspect(cell: Cell | None, *, kernel: str, language: str) -> dict[str, NotebookParameter] | None:
    """Return the parameters that the cell declares, by name; None where they cannot be known."""
    if cell is None:
        return {}
    if language.lower() == "python":
        return _inspect_python(cell.source)
    return _inspect_with_papermill(cell, kernel, language)


def check_language(kernel: str, language: str) -> Mistake | None:
    """Return a mistake where papermill cannot write parameters in that language."""
    if language.lower() == "python":
        return None
    translators = _translators()
    if kernel in translators or language in translators:
        return None
    known = ", ".join(sorted(str(name) for name in translators if name))
    message = f'a notebook in "{language}" cannot be given parameters: papermill cannot write them in that language'
    return Mistake(message, "/parameters", expected=f"one of {known}, or no parameters")


def check_names(given: Mapping[str, Any], declared: Mapping[str, NotebookParameter] | None) -> list[Mistake]:
    """Return a mistake for each name that is no name of a variable, or that the notebook does not declare.

    A name becomes code in the kernel: nothing but an identifier may get there.
    """
    mistakes = list(name_mistakes(given, "/parameters"))
    wrong = {mistake.path for mistake in mistakes}
    for name in given if declared else ():
        path = child("/parameters", name)
        if name not in (declared or {}) and path not in wrong:
            known = ", ".join(sorted({*(declared or {})} - CONVENTION))
            message = f'the notebook has no parameter "{name}" in its cell tagged "parameters"'
            mistakes.append(Mistake(message, path, expected=f"one of {known}", nearest=nearest(name, declared or {})))
    return mistakes


def check_values(given: Mapping[str, Any], declared: Mapping[str, NotebookParameter] | None) -> list[Mistake]:
    """Return a mistake for each value that is not plain JSON, too large, or of another type than declared.

    Values that hold a reference are known only when the command runs; they are passed over.
    """
    mistakes = []
    for name, value in given.items():
        if isinstance(value, str) and _REFERENCE in value:
            continue
        path = child("/parameters", name)
        refused = list(misfits(value, path))
        if refused:
            mistakes += [_about_table(value, each) for each in refused]
            continue
        parameter = (declared or {}).get(name)
        if parameter is not None and parameter.types and not _fits(value, parameter.types):
            message = f'the parameter "{name}" has another type than the notebook says ({parameter.says})'
            mistakes.append(Mistake(message, path, found=described(value), expected=" or ".join(parameter.types)))
    return mistakes or too_large(dict(given), "/parameters")


# ── what a cell declares ────────────────────────────────────────────────────────────────────────────────────────


def _inspect_python(source: str) -> dict[str, NotebookParameter] | None:
    """Return the names that the cell assigns on its top level; a magic or shell line counts as an empty one."""
    lines = ["" if line.lstrip().startswith(("%", "!")) else line for line in source.splitlines()]
    source = "\n".join(lines)
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError):
        return None
    comments = _type_comments(source)
    found: dict[str, NotebookParameter] = {}
    for statement in tree.body:
        if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
            hint = ast.unparse(statement.annotation)
            types = _types_of_hint(hint)
            found[statement.target.id] = _parameter(statement.target.id, types, f"annotated {hint}")
        elif isinstance(statement, ast.Assign):
            comment = comments.get(statement.end_lineno or statement.lineno)
            for target in (name for item in statement.targets for name in _names(item)):
                types, says = _types_of_default(statement.value), f"default {ast.unparse(statement.value)[:60]}"
                if comment is not None:
                    types, says = _types_of_hint(comment), f"type comment {comment}"
                found[target] = _parameter(target, types, says)
    return found


def _parameter(name: str, types: tuple[str, ...], says: str) -> NotebookParameter:
    return NotebookParameter(name=name, types=types, says=says if types else "")


def _names(target: ast.expr) -> list[str]:
    return [target.id] if isinstance(target, ast.Name) else []


def _type_comments(source: str) -> dict[int, str]:
    """Return the types that papermill's `# type:` comments name, by line."""
    comments = {}
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        match = _TYPE_COMMENT.match(token.string) if token.type == tokenize.COMMENT else None
        if match:
            comments[token.start[0]] = match.group(1)
    return comments


def _types_of_hint(hint: str) -> tuple[str, ...]:
    """Return the names of the types that a hint allows; empty where it names anything that is not known here."""
    try:
        tree = ast.parse(hint.strip("\"' "), mode="eval").body
    except (SyntaxError, ValueError):
        return ()
    types: list[str] = []
    for part in _alternatives(tree):
        base = part.value if isinstance(part, ast.Subscript) else part
        name = base.attr if isinstance(base, ast.Attribute) else ast.unparse(base)
        name = _OTHER_NAMES.get(name, name)
        if name not in _TYPES:
            return ()
        types.append(name)
    return tuple(dict.fromkeys(types))


def _alternatives(hint: ast.expr) -> list[ast.expr]:
    """Return the members of a union, in any of its spellings."""
    if isinstance(hint, ast.BinOp) and isinstance(hint.op, ast.BitOr):
        return [*_alternatives(hint.left), *_alternatives(hint.right)]
    if isinstance(hint, ast.Subscript):
        name = ast.unparse(hint.value).rpartition(".")[2]
        if name == "Optional":
            return [*_alternatives(hint.slice), ast.Constant(None)]
        if name == "Union":
            members = hint.slice.elts if isinstance(hint.slice, ast.Tuple) else [hint.slice]
            return [part for member in members for part in _alternatives(member)]
    return [hint]


def _types_of_default(default: ast.expr) -> tuple[str, ...]:
    """Return the types that go in place of a literal default; empty for any.

    None is commonly passed for "none given", and ``minimum = 5`` says a number, not that it is whole.
    """
    try:
        value = ast.literal_eval(default)
    except (ValueError, TypeError, SyntaxError, RecursionError):
        return ()
    name = type(value).__name__
    if value is None or name not in _TYPES:
        return ()
    return ("int", "float", "None") if name == "int" else (name, "None")


def _inspect_with_papermill(cell: Cell, kernel: str, language: str) -> dict[str, NotebookParameter] | None:
    """Return what papermill's translator for the language reads out of the cell; None where it does not read."""
    translators = _translators()
    translator = translators.get(kernel) or translators.get(language)
    if translator is None:
        return None
    try:
        found = translator.inspect({"source": cell.source})
    except NotImplementedError:
        return None
    return {item.name: NotebookParameter(name=item.name) for item in found}


def _translators() -> Mapping[str, Any]:
    from papermill.translators import papermill_translators

    return dict(papermill_translators._translators)


# ── whether a value fits ────────────────────────────────────────────────────────────────────────────────────────


def _fits(value: Any, types: tuple[str, ...]) -> bool:
    # to Python a boolean is a number too
    return any(isinstance(value, _TYPES[name]) and (name == "bool" or type(value) is not bool) for name in types)


def _about_table(value: Any, mistake: Mistake) -> Mistake:
    """Say how a notebook reads a table, which cannot be written into it as a parameter."""
    if type(value).__module__.partition(".")[0] not in ("pandas", "pyarrow", "polars", "numpy"):
        return mistake
    return replace(mistake, expected='plain JSON; in the notebook, read a table with context.upstream["…"]')
