"""A workflow as it is written in Python: its commands are added call by call, and it is a definition at any time."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar, overload

from orchestrator_nb.commands.contract import is_native
from orchestrator_nb.definition.command_check import check_command
from orchestrator_nb.definition.models import WorkflowDefinition
from orchestrator_nb.definition.names import slug
from orchestrator_nb.definition.reading import Loaded, read_definition
from orchestrator_nb.definition.writing import to_dict, to_json, to_yaml
from orchestrator_nb.errors import DefinitionError, UsageError
from orchestrator_nb.orchestrator.collector import collector_at_rest
from orchestrator_nb.orchestrator.display.views import show_workflow
from orchestrator_nb.orchestrator.session_names import address, cell_number

GATES = frozenset({"gates", "quality_gates"})
REQUIREMENTS = frozenset({"quality_requirements", "qualityRequirements"})
MERGES = frozenset({"merge", "merge_strategies", "conflict_resolution"})
"""The options that hold gates and strategies, functions among them."""

Function = TypeVar("Function", bound=Callable[..., Any])
Upstream = str | Callable[..., Any] | Iterable[str | Callable[..., Any]]


class Building:
    """What of a workflow is written: its name, its folder and its commands, with the functions of this session."""

    def __init__(
        self,
        name: str,
        *,
        parameters: Mapping[str, Any] | None = None,
        folder: str | os.PathLike[str] | None = None,
        **options: Any,
    ) -> None:
        """Begin a workflow. `parameters` are its parameters with their defaults, `folder` is where its files are (the
        working directory), `options` are those of the definition: pattern, slots, durability, timeout, description.

        Raises DefinitionError.
        """
        self._name = name
        self._written: dict[str, Any] | None = {
            "workflow": name,
            "parameters": dict(parameters or {}),
            **options,
            "commands": {},
        }
        self._gates: dict[str, Callable[..., Any]] = {}
        for option in REQUIREMENTS & options.keys():
            self._written[option] = self._addressed(options[option])
        for option in MERGES & options.keys():
            self._written[option] = {key: self._addressed(value) for key, value in dict(options[option]).items()}
        self._folder = Path(folder or Path.cwd()).absolute()
        self._functions: dict[str, Callable[..., Any]] = {}
        self._names: dict[int, str] = {}
        self._cells: dict[str, int | None] = {}
        self._loaded: Loaded | None = None
        self.origin: Path | None = None

    @property
    def name(self) -> str:
        """The workflow's name."""
        return str(self._name)

    @property
    def folder(self) -> Path:
        """Where its files are."""
        return self._folder

    @property
    def definition(self) -> WorkflowDefinition:
        """The definition as pure data. Raises DefinitionError with all mistakes."""
        return self._read().definition

    def to_dict(self) -> dict[str, Any]:
        """Return the definition as a dictionary in the canonical spelling."""
        return to_dict(self.definition)

    def to_yaml(self) -> str:
        """Return the definition as YAML."""
        return to_yaml(self.definition)

    def to_json(self) -> str:
        """Return the definition as JSON."""
        return to_json(self.definition)

    def _ipython_display_(self) -> None:
        if not show_workflow(self):
            raise NotImplementedError  # IPython goes on to ask for the representations

    def _repr_html_(self) -> str:
        from orchestrator_nb.drawing.card import listing
        from orchestrator_nb.drawing.workflow_card import workflow_card

        try:
            return workflow_card(self.definition)
        except DefinitionError as error:
            return listing([repr(self), str(error)])

    # ── building ────────────────────────────────────────────────────────────────────────────────────────────────

    def notebook(self, path: str | os.PathLike[str], *, id: str | None = None, **options: Any) -> str:  # noqa: A002
        """Add a notebook; `options` are the fields of a command (after, parameters, writes, retries …). Returns its id.

        Raises DefinitionError naming the option that is wrong.
        """
        text = os.fspath(path)
        return self._add(id or slug(text), {"notebook": text, **options})

    def shell(self, argv: Sequence[str], *, id: str | None = None, **options: Any) -> str:  # noqa: A002
        """Add a program with its arguments; nothing is interpreted by a shell. Returns its id. Raises DefinitionError."""
        if isinstance(argv, str):
            raise UsageError(f'a shell command is a list of a program and its arguments; found the text "{argv}"')
        return self._add(id or slug(argv[0]), {"shell": [str(part) for part in argv], **options})

    @overload
    def command(
        self, function: None = None, *, id: str | None = None, **options: Any
    ) -> Callable[[Function], Function]: ...

    @overload
    def command(self, function: str, *, id: str | None = None, **options: Any) -> str: ...

    @overload
    def command(self, function: Function, *, id: str | None = None, **options: Any) -> Function: ...

    def command(self, function: Any = None, *, id: str | None = None, **options: Any) -> Any:  # noqa: A002
        """Add a function, as a decorator or directly, or a registered name such as "/query".

        An argument of the function named like an upstream command is that command's result. An object, or a class,
        with the method `execute_in_workflow` is a native command, see `commands.contract`. Returns the function
        unchanged, or the id for a name. Raises DefinitionError naming the option that is wrong.
        """
        if function is None:
            return lambda given: self.command(given, id=id, **options)
        if isinstance(function, str):
            return self._add(id or slug(str(options.get("agent") or function)), {"command": function, **options})
        if not (is_native(function) or callable(function)):
            raise UsageError(f"a command is a function, a native command or a registered name; found {function!r}")
        name = id or getattr(function, "__name__", type(function).__name__).strip("<>")
        cell = cell_number()
        # A cell that was edited and is run again defines its function anew.
        anew = name in self._functions and cell is not None and self._cells.get(name) != cell
        added = self._add(name, {"call": address(function), **options}, anew=anew)
        self._cells[added] = cell
        self._keep(added, function)
        return function

    def workflow(self, source: str | os.PathLike[str], *, id: str | None = None, **options: Any) -> str:  # noqa: A002
        """Add another workflow: a definition's file, a folder of notebooks or a notebook. Returns its id.

        Its parameters are given as `parameters`; its result is a mapping from its commands to their results. Raises
        DefinitionError naming the option that is wrong.
        """
        text = os.fspath(source)
        return self._add(id or slug(text), {"workflow": text, **options})

    def _add(self, name: str, body: dict[str, Any], *, anew: bool = False) -> str:
        body["after"] = self._ids(body.pop("after", ()))
        if not body["after"]:
            del body["after"]
        for option in GATES & body.keys():
            body[option] = self._addressed(body[option])
        if name in self._document["commands"] and not anew:
            other = "give this one another id=, or make the workflow anew before it is added again"
            raise UsageError(f'"{self.name}" has a command "{name}" already; {other}')
        # Wrong options are said where they are written, not at the start of the run.
        check_command(name, {key: value for key, value in body.items() if key != "after"})
        self._document["commands"][name] = body
        self._loaded = None
        return name

    def _addressed(self, gates: Any) -> Any:
        """Return gates, or a strategy, with the functions among them by their address; they are kept."""
        if isinstance(gates, list | tuple):
            return [self._addressed(gate) for gate in gates]
        if isinstance(gates, Mapping):
            return {key: self._addressed(value) if key == "gate" else value for key, value in gates.items()}
        if not callable(gates):
            return gates
        name = address(gates)
        self._gates[name] = gates
        return name

    def _ids(self, after: Upstream) -> list[str]:
        """Return the ids of what a command comes after: names, or functions that are commands."""
        one = isinstance(after, str) or callable(after) or is_native(after)
        given: list[Any] = [after] if one else list(after)  # type: ignore[arg-type]
        return [item if isinstance(item, str) else self._id_of(item) for item in given]

    def _keep(self, name: str, function: Callable[..., Any]) -> None:
        self._functions[name] = function
        self._names.setdefault(id(function), name)

    def _id_of(self, function: Callable[..., Any]) -> str:
        name = self._names.get(id(function))
        if name is not None and self._functions.get(name) is function:
            return name
        for other, known in self._functions.items():  # its first name may have been given to another since
            if known is function:
                return other
        raise UsageError(f'{function!r} is not a command of "{self.name}" yet; add it first')

    def _ids_of_all(self) -> list[str]:
        return [command.id for command in self.definition.commands]

    def _read(self) -> Loaded:
        if self._loaded is None:
            with collector_at_rest():
                self._loaded = read_definition(self._document, folder=self._folder)
        return self._loaded

    @property
    def _document(self) -> dict[str, Any]:
        """The definition as it is being written; that of one that was read is made when something is added to it."""
        if self._written is None:
            self._written = to_dict(self._read().definition)
        return self._written

    def __repr__(self) -> str:
        return f"<Workflow {self.name}: {len(self._document['commands'])} commands>"
