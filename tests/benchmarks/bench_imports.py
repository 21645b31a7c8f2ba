"""What it costs to import the package and to ask the command line for help, beside importing papermill.

python tests/benchmarks/bench_imports.py
"""

from __future__ import annotations

import sys

from measure import interleaved, python, table

COMMANDS = {
    "import papermill": python("import papermill"),
    "import orchestrator_nb": python("import orchestrator_nb"),
    "orchestrator-nb --help": python(
        "import sys; sys.argv = ['orchestrator-nb', '--help']; from orchestrator_nb.cli.main import main; main()"
    ),
    "python -c pass": python("pass"),
}

if __name__ == "__main__":
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 9
    print(table(interleaved(COMMANDS, rounds=rounds), beside="import papermill"))
