"""The magic: `%workflow VERB …`, and `%%workflow NAME` with the definition in the cell."""

from __future__ import annotations

import re
import shlex
import sys
from pathlib import Path
from types import FrameType
from typing import Any

from IPython.core.error import UsageError as NotUsed
from IPython.core.magic import Magics, line_cell_magic, magics_class
from IPython.core.magic_arguments import MagicArgumentParser
from msgspec.structs import replace

from orchestrator_nb.definition.reading import read_definition
from orchestrator_nb.errors import UsageError
from orchestrator_nb.jupyter import frontend
from orchestrator_nb.jupyter.arguments import PARAMETERS, PART, STARTING, STORE, TO, told
from orchestrator_nb.jupyter.verbs import do, start_options
from orchestrator_nb.orchestrator.verbs import VERBS
from orchestrator_nb.orchestrator.workflow import Workflow


def cell_parser() -> Any:
    """Return the parser of the line of `%%workflow`."""
    does = "Define the workflow whose YAML is in the cell, bind it to its name, and show how to start it."
    parser = MagicArgumentParser(prog="%workflow", description=does, add_help=False)  # type: ignore[no-untyped-call]
    parser.add_argument("name", nargs="?", metavar="NAME", help="the name of the workflow and of its variable")
    parser.add_argument("--run", action="store_true", help="start it")
    for name, options in (*PARAMETERS, *PART, *STARTING, STORE, TO):
        parser.add_argument(name, **options)
    return parser


def help_text() -> str:
    """Return what `%workflow?` shows: the two forms and the verbs."""
    width = max(map(len, VERBS))
    verbs = "\n".join(f"    {verb:<{width}}  {told}" for verb, told in VERBS.items())
    return (
        "Run workflows of notebooks, functions and shell commands.\n\n"
        "%workflow VERB ...\n"
        "    %workflow run sales.yaml -p day 2026-01-02     waits; the cell fails when the run does\n"
        "    result = %workflow run sales                   a workflow of this session, by its name\n"
        "    %workflow VERB --help                          what a verb takes\n\n"
        f"{verbs}\n\n"
        "%%workflow NAME [--run] [-p NAME VALUE] ...\n"
        "    the cell below it is the definition in YAML; it is bound to NAME and shown with the means to start it\n\n"
        f"{told(cell_parser())}\n"
        "$name and {expression} in the line are replaced by what they are in the session."
    )


@magics_class
class WorkflowMagics(Magics):
    """The magic of a shell."""

    shell: Any

    @line_cell_magic
    def workflow(self, line: str, cell: str | None = None) -> Any:
        silent = line.rstrip().endswith(";")
        words = split(line.rstrip().rstrip(";"))
        if cell is not None:
            result, name = self._define(words, cell)
        elif not words or words[0] in ("-h", "--help", "help"):
            print(help_text())
            return None
        else:
            result, name = do(words[0], words[1:], self.shell.user_ns)
        if name is not None:
            self.shell.user_ns[name] = result
        return None if silent else result

    workflow.__doc__ = help_text()

    def _define(self, words: list[str], cell: str) -> tuple[Any, str | None]:
        """Define the workflow of a cell, and start it where that is asked for."""
        if {"-h", "--help"} & set(words):
            print(told(cell_parser()))
            return None, None
        given = cell_parser().parse_args(words)
        # The line of the magic is the first of the cell: with an empty line for it, the numbers are those of the cell.
        loaded = read_definition(f"\n{cell}", file=self._cell(), folder=Path.cwd(), name=given.name)
        flow = Workflow._of(replace(loaded, file=None), None)
        self.shell.user_ns[variable(given.name or flow.name)] = flow
        if not given.run:
            return flow, given.to
        run = flow.start(wait=False, **start_options(given))
        if not frontend.is_live() and not given.detach:
            return run.wait(), given.to
        return run, given.to

    def _cell(self) -> str:
        """Return what IPython calls the cell that runs: its number counts on before the cell has ended or after, by its
        version, so the name is that of the code that led here."""
        frame: FrameType | None = sys._getframe()
        while frame is not None:
            name = self.shell.compile.format_code_name(frame.f_code.co_filename)
            if name is not None:
                return " ".join(name)
            frame = frame.f_back
        return "the cell"


def split(line: str) -> list[str]:
    """Return the words of a line, quoted ones whole. Raises UsageError."""
    try:
        return shlex.split(line)
    except ValueError as error:
        raise UsageError(f"the line cannot be read: {error}; found {line!r}") from error


def variable(name: str) -> str:
    """Return the name of the variable to which a workflow is bound. Raises UsageError where there can be none."""
    found = re.sub(r"\W", "_", name)
    if not found.isidentifier():
        raise NotUsed(f'"{name}" cannot be the name of a variable; give one: %%workflow NAME')
    return found
