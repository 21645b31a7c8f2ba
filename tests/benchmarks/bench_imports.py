"""What it costs to import the package, to ask for help, and to look at a run, beside importing papermill.

    python tests/benchmarks/bench_imports.py [ROUNDS]

The verbs look at a small run that has ended; each figure is a whole process.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from measure import interleaved, python, table

SMALL = """
from orchestrator_nb import Workflow

flow = Workflow("small")


@flow.command
def first():
    print("first")
    return 1


@flow.command(after=first)
def second(first):
    return first + 1


flow.run(store={store!r})
"""

VERBS: dict[str, Sequence[str]] = {
    "status": (),
    "why": ("latest", "second"),
    "metrics": (),
    "logs": ("latest", "first"),
    "watch": (),
    "pause": (),
    "stop": (),
    "history": (),
    "audit": (),
}


def verb(name: str, arguments: Sequence[str], store: str) -> list[str]:
    """Return the command line of a process that runs a verb; what it says is let go, also that nothing is running."""
    argv = [name, *arguments, "--store", store]
    return python(
        "import os, sys; sys.stderr = open(os.devnull, 'w')\n"
        f"from orchestrator_nb.cli.main import run_command_line; run_command_line({argv!r})"
    )


def main(rounds: int) -> None:
    """Print the table."""
    with tempfile.TemporaryDirectory() as folder:
        store = str(Path(folder) / "store")
        program = Path(folder) / "small.py"
        program.write_text(SMALL.format(store=store), encoding="utf-8")
        interleaved({"run": [sys.executable, str(program)]}, rounds=0)
        commands = {
            "import papermill": python("import papermill"),
            "import orchestrator_nb": python("import orchestrator_nb"),
            "orchestrator-nb --help": python(
                "from orchestrator_nb.cli.main import run_command_line; run_command_line(['--help'])"
            ),
            **{name: verb(name, arguments, store) for name, arguments in VERBS.items()},
            "python -c pass": python("pass"),
        }
        print(table(interleaved(commands, rounds=rounds), beside="import papermill"))


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 9)
