"""What is wrong in a definition as a whole: ids, dependencies, names, defaults and references that do not fit."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from msgspec.structs import replace

from orchestrator_nb.definition.model import Invalid
from orchestrator_nb.definition.models import KINDS, ParameterDefinition, WorkflowDefinition
from orchestrator_nb.definition.names import RESERVED, addresses, nearest
from orchestrator_nb.definition.parameters import fitted, name_mistakes, too_large
from orchestrator_nb.definition.pointers import child
from orchestrator_nb.definition.references import FIELDS, ROOTS, Reference, leaves, references_in
from orchestrator_nb.definition.values import escaped, misfits
from orchestrator_nb.errors import Mistake, UsageError

Where = Callable[[str], str]
"""Says in words where something is, given its pointer."""

_MOST_SUGGESTIONS = 50
_PATHS = ("notebook", "workflow", "cwd", "reads", "writes", "shell")
_WORDS = frozenset(("id", "after", "description", "when", "matrix"))
_ALSO_READ = frozenset(("reads", "writes", "notebook", "cwd"))
"""The fields in which references to a matrix are read, and to parameters in the first two."""
_KINDS = frozenset(KINDS)
_ONLY_FOR = {
    "kernel": ("notebook",),
    "kernels": ("notebook",),
    "allow_early_exit": ("notebook",),
    "start_timeout": ("notebook",),
    "cell_timeout": ("notebook",),
    "idle_timeout": ("notebook",),
    "allow_failure_codes": ("shell",),
    "isolation": ("call", "command", "type"),
    "args": ("call", "command", "type"),
    "cwd": ("notebook", "call", "shell", "command", "type"),
    "environment": ("notebook", "call", "shell", "command", "type"),
}
"""The keys that mean something for some kinds of command only; elsewhere nothing would act on them."""


def check(definition: WorkflowDefinition) -> list[Mistake]:
    """Return all that is wrong in a definition that was built in Python; paths are those of its fields."""
    return list(mistakes_in(definition.model_dump(exclude_none=True), str))


def mistakes_in(data: Mapping[str, Any], where: Where) -> Iterator[Mistake]:
    """Yield what is wrong in the canonical data of a definition; what has the wrong type is left to the model."""
    declared = data.get("parameters")
    declared = declared if isinstance(declared, Mapping) else {}
    commands = [
        (f"/commands/{place}", body) for place, body in enumerate(data.get("commands") or ()) if isinstance(body, dict)
    ]
    yield from name_mistakes(declared, "/parameters")
    for name, parameter in declared.items():
        yield from _default(parameter, child("/parameters", name))
    yield from _context(data.get("context"), "/context")
    yield from _gates(data.get("quality_requirements"), "/quality_requirements")
    yield from _ids(commands, where)
    names = _Names(commands, declared)
    for pointer, body in commands:
        yield from names.dependencies(pointer, body)
        wrong = list(_command(pointer, body))
        yield from wrong
        endless = [name for name in ("parameters", "args") if wrong and any(misfits(body.get(name)))]
        yield from names.references(pointer, body, without=endless)


def _default(parameter: Any, pointer: str) -> Iterator[Mistake]:
    """Yield what is wrong with a default and its choices; nothing where the declaration itself is not valid."""
    try:
        declared = ParameterDefinition.read(parameter)
    except Invalid:
        return
    if declared.required and declared.default is not None:
        yield Mistake("a parameter with a default cannot be required", f"{pointer}/required",
                      expected="one of the two only")  # fmt: skip
    if declared.choices is not None and not declared.choices:
        yield Mistake("there is nothing to choose from", f"{pointer}/choices", expected="at least one value")
        return
    for place, choice in enumerate(declared.choices or ()):
        alone = declared.model_copy(update={"choices": None, "required": True})
        yield from fitted(alone, choice, text=False, pointer=f"{pointer}/choices/{place}")[1]
    if declared.default is not None:
        wrong = fitted(declared, declared.default, text=False, pointer=f"{pointer}/default")[1]
        yield from wrong
        if not wrong and _has_reference(declared.default):
            yield Mistake("a default cannot hold a reference", f"{pointer}/default", expected="a plain value")


def _ids(commands: list[tuple[str, dict[str, Any]]], where: Where) -> Iterator[Mistake]:
    seen: dict[str, tuple[str, str]] = {}
    for pointer, body in commands:
        name = body.get("id")
        if not isinstance(name, str):
            continue
        at = f"{pointer}/id"
        if name in RESERVED:
            yield Mistake(f'no command can have the id "{name}"', at,
                          expected=f"another one; references begin with {', '.join(RESERVED)}")  # fmt: skip
        other, first = seen.setdefault(name.casefold(), (name, at))
        if first != at:
            same_id = "the same id" if other == name else f"an id that differs in case only, {escaped(other)}"
            yield Mistake(f"two commands have {same_id}", at, expected="an id of its own for each command",
                          found=f"{escaped(name)}, first {where(first)}")  # fmt: skip


def _command(pointer: str, body: dict[str, Any]) -> Iterator[Mistake]:
    """Yield what is wrong with one command by itself."""
    kinds = _KINDS.intersection(body)
    kind = next(iter(kinds)) if len(kinds) == 1 else None
    for name, value in body.items():
        at = f"{pointer}/{name}"
        if name in ("parameters", "degraded") and isinstance(value, dict):
            if value:
                yield from _parameters(at, value, named=kind != "type")
        elif name == "gates":
            yield from _gates(value, at)
        elif name == "args":
            yield from misfits(value, at)
        elif name == "environment" and isinstance(value, dict):
            yield from _environment(at, value)
        elif name in _PATHS:
            yield from _paths(name, at, value)
        if kind is not None and name in _ONLY_FOR and value and kind not in _ONLY_FOR[name]:
            yield Mistake(f'"{name}" means nothing for a command of the kind "{kind}"', at,
                          expected=f"it with {' or '.join(_ONLY_FOR[name])} only")  # fmt: skip


def _parameters(pointer: str, values: dict[str, Any], *, named: bool) -> Iterator[Mistake]:
    if named:
        yield from name_mistakes(values, pointer)
    wrong = list(misfits(values, pointer))
    yield from wrong or too_large(values, pointer)


def _context(value: Any, pointer: str) -> Iterator[Mistake]:
    """Yield what is wrong with the shared state that a run begins with."""
    if isinstance(value, dict):
        wrong = list(misfits(value, pointer))
        yield from wrong
        if not wrong and _has_reference(value):
            yield Mistake("the shared state of the beginning cannot hold a reference", pointer, expected="plain values")


def _gates(value: Any, pointer: str) -> Iterator[Mistake]:
    for place, gate in enumerate(value if isinstance(value, tuple) else ()):
        if isinstance(gate, dict) and isinstance(gate.get("options"), dict):
            yield from misfits(gate["options"], f"{pointer}/{place}/options")


def _environment(pointer: str, values: dict[str, Any]) -> Iterator[Mistake]:
    for name, value in values.items():
        if not name or "=" in name or "\0" in f"{name}{value}":
            yield Mistake(f"the environment cannot hold {escaped(name)}", child(pointer, name),
                          expected='a name without "=" and a value, both without NUL')  # fmt: skip


def _paths(field: str, pointer: str, value: Any) -> Iterator[Mistake]:
    for at, text in [(pointer, value)] if isinstance(value, str) else leaves(value, pointer):
        if not text or "\0" in text:
            yield Mistake(f'the value of "{field}" cannot be used', at, found=escaped(text),
                          expected="text, not empty and without NUL")  # fmt: skip


def _has_reference(value: Any) -> bool:
    try:
        return bool(references_in(value))
    except UsageError:
        return True


def _secret(reference: Reference, pointer: str, body: Mapping[str, Any]) -> Mistake | None:
    """Return what is wrong with a reference to a secret, at `pointer` in the document."""
    name, text = reference.keys[0], escaped(reference.text)
    field = pointer.split("/")[3]
    if len(reference.keys) > 1:
        return Mistake("a secret has one name", found=text, expected=f"${{{{ secrets.{name} }}}}")
    if field == "shell":
        return Mistake("the arguments of a program cannot hold a secret: every user of the machine sees them in the list "
                       "of processes", found=text,
                       expected=f"environment: {{{name}: {escaped(reference.text)}}}, which the program reads")  # fmt: skip
    if "workflow" in body:
        return Mistake("a parameter of an inner workflow cannot be a secret: its run records its parameters", found=text,
                       expected=f"${{{{ secrets.{name} }}}} in the command of that workflow that needs it")  # fmt: skip
    return None


class _Names:
    """The names that commands and parameters have, and whether what refers to them does so rightly."""

    def __init__(self, commands: list[tuple[str, dict[str, Any]]], declared: Mapping[str, Any]) -> None:
        self._ids = {body["id"]: None for _, body in commands if isinstance(body.get("id"), str)}
        self._declared = dict.fromkeys(declared)
        self._outputs = {body["id"]: body["outputs"] for _, body in commands
                         if isinstance(body.get("id"), str) and isinstance(body.get("outputs"), dict)
                         and "matrix" not in body}  # fmt: skip
        self._addresses = addresses(self._ids)
        self._suggestions = 0

    def dependencies(self, pointer: str, body: dict[str, Any]) -> Iterator[Mistake]:
        yield from self._fallback(pointer, body)
        after = body.get("after")
        if not isinstance(after, tuple):
            return
        seen = set()
        for place, name in enumerate(after):
            if not isinstance(name, str):
                continue
            at = f"{pointer}/after/{place}"
            if name == body.get("id"):
                yield Mistake("a command cannot come after itself", at, found=escaped(name))
            elif name not in self._ids:
                yield Mistake(f"there is no command {escaped(name)}", at, nearest=self._nearest(name, self._ids))
            elif name in seen:
                yield Mistake("a dependency is there twice", at, found=escaped(name), expected="each once")
            seen.add(name)

    def _fallback(self, pointer: str, body: dict[str, Any]) -> Iterator[Mistake]:
        name, at = body.get("fallback"), f"{pointer}/fallback"
        if not isinstance(name, str):
            return
        if name == body.get("id"):
            yield Mistake("a command cannot take its own place", at, found=escaped(name))
        elif name not in self._ids:
            yield Mistake(f"there is no command {escaped(name)}", at, nearest=self._nearest(name, self._ids))

    def references(self, pointer: str, body: dict[str, Any], *, without: Sequence[str]) -> Iterator[Mistake]:
        if isinstance(body.get("matrix"), dict):
            from orchestrator_nb.definition.matrix_check import matrix_mistakes

            yield from matrix_mistakes(body["matrix"], f"{pointer}/matrix", self._declared)
        if isinstance(body.get("when"), str):
            yield from self._in_expression(f"{pointer}/when", body["when"], body)
        for name, value in body.items():
            if not value or name in _WORDS or name in without or type(value) not in (str, dict, tuple, list):
                continue
            for at, text in leaves(value, f"{pointer}/{name}"):
                if "${{" in text:
                    if name in FIELDS or (name in _ALSO_READ and self._is_of_matrix(name, text)):
                        yield from self._in_text(at, text, body)
                    else:
                        yield Mistake(f'references are not read in "{name}"', at, found=escaped(text),
                                      expected=f"them in {', '.join(FIELDS)} only")  # fmt: skip

    def _is_of_matrix(self, name: str, text: str) -> bool:
        """Say whether the references in a path are such as are read there."""
        try:
            roots = {reference.root for reference in references_in(text)}
        except UsageError:  # said by whoever reads it
            return True
        return roots <= ({"matrix", "parameters"} if name in ("reads", "writes") else {"matrix"})

    def _in_expression(self, pointer: str, text: str, body: Mapping[str, Any]) -> Iterator[Mistake]:
        from orchestrator_nb.definition.expressions import Expression

        try:
            names = Expression.parse(text).names
        except UsageError as error:
            yield Mistake(str(error), pointer)
            return
        for name in names:
            if name.root in (*ROOTS, "matrix") and not name.keys:
                yield Mistake(
                    f"{escaped(name.text)} names nothing", pointer, expected=f'a name, as in "{name.root}.name"'
                )
                continue
            keys = tuple(str(key) for key in name.keys)
            wrong = self._reference(Reference(f"{name.text}, column {name.column}", name.root, keys), body)
            if wrong is not None:
                yield replace(wrong, path=pointer)

    def _in_text(self, pointer: str, text: str, body: Mapping[str, Any]) -> Iterator[Mistake]:
        try:
            found = references_in(text)
        except UsageError as error:
            yield Mistake(str(error), pointer)
            return
        for reference in found:
            secret = reference.root == "secrets"
            wrong = _secret(reference, pointer, body) if secret else self._reference(reference, body)
            if wrong is not None:
                yield replace(wrong, path=pointer)

    def _reference(self, reference: Reference, body: Mapping[str, Any]) -> Mistake | None:
        root = reference.root
        if root == "parameters" and reference.keys[0] in self._declared:
            return None
        target = self._addresses.get(root) if root not in RESERVED else None
        text = escaped(reference.text)
        if target is not None and target != body.get("id"):
            outputs = self._outputs.get(target)
            if not outputs or not reference.keys or reference.keys[0] in outputs:
                return None
            return Mistake(f"{escaped(target)} declares no output {escaped(reference.keys[0])}", found=text,
                           expected=f"one of {', '.join(outputs)}",
                           nearest=self._nearest(reference.keys[0], outputs))  # fmt: skip
        if root == "context":
            return None
        if root == "matrix":
            return self._axis(reference, body)
        if root == "parameters":
            name = reference.keys[0]
            return Mistake(f"the workflow has no parameter {escaped(name)}", found=text,
                           nearest=self._nearest(name, self._declared))  # fmt: skip
        if root in RESERVED:
            return Mistake("a condition cannot look at a secret", found=text, expected="parameters or results")
        if target is not None:
            return Mistake("a command cannot use its own result", found=text)
        return Mistake(f"there is no command {escaped(root)}", found=text,
                       nearest=self._nearest(root, self._addresses))  # fmt: skip

    def _axis(self, reference: Reference, body: Mapping[str, Any]) -> Mistake | None:
        """Return what is wrong with a look-up in the matrix of a command."""
        from orchestrator_nb.definition.matrix_check import axes_of

        text, name, axes = escaped(reference.text), reference.keys[0], axes_of(body.get("matrix"))
        if name in axes:
            return None
        if not axes:
            return Mistake("the command has no matrix", found=text, expected="a key matrix with the list that is meant")
        return Mistake(f"the matrix has no axis {escaped(name)}", found=text, nearest=self._nearest(name, axes),
                       expected=f"one of {', '.join(axes)}")  # fmt: skip

    def _nearest(self, name: str, names: Any) -> str | None:
        """Return the nearest name, for the first unknown names only: with many of them the search would not end."""
        self._suggestions += 1
        return nearest(name, names) if self._suggestions <= _MOST_SUGGESTIONS else None
