"""What gates that are expressions cost: the check alone, and a whole run with them beside one without.

    python tests/benchmarks/bench_gates.py [COMMANDS] [ROUNDS]

The check is timed as the executor calls it, on a result with a metric and two values, the expression read before. The
runs have COMMANDS callables; they take turns, and the difference per command holds what is recorded, too.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from pathlib import Path

from orchestrator_nb import Workflow
from orchestrator_nb.definition.models import CommandDefinition
from orchestrator_nb.events import Stored
from orchestrator_nb.ports import Work
from orchestrator_nb.quality.checking import CheckedGates
from orchestrator_nb.quality.past import no_past
from orchestrator_nb.state.records import CommandRecord

GATES = ("rmse < 3.5", "rows >= 0.9 * least and missing == 0")
MOST = 0.2e-3
"""Seconds that a check may take."""


def checks(count: int) -> list[float]:
    """Return the seconds of each check of one gate."""
    gates = CheckedGates(requirements=(), functions={}, past=no_past, clock=time.time)
    definition = CommandDefinition.read({"id": "a", "call": "m:f", "gates": ({"gate": GATES[1]},)})
    work = Work(run="r", workflow="w", command="a", attempt=1, generation=1, definition=definition, folder=Path(),
                run_folder=Path())  # fmt: skip
    result = Stored(form="json", value={"rows": 100, "least": 90})
    record = CommandRecord(result=result, metrics={"missing": 0.0})
    gates.at_once(work, record)
    found = []
    for _ in range(count):
        begun = time.perf_counter()
        gates.at_once(work, record)
        found.append(time.perf_counter() - begun)
    return found


def run_seconds(commands: int, gates: tuple[str, ...], store: Path) -> float:
    """Return the seconds of a run of so many commands, one after the other."""
    flow = Workflow("bench", slots=1, durability="process")
    for number in range(commands):
        given = {"gates": list(gates)} if gates else {}
        flow.command(lambda: {"rmse": 2.0, "rows": 100, "least": 90, "missing": 0}, id=f"c{number}", **given)
    begun = time.perf_counter()
    flow.run(store=store)
    return time.perf_counter() - begun


def main(commands: int, rounds: int) -> None:
    """Measure and print."""
    found = sorted(checks(2000))
    median, late = statistics.median(found), found[int(len(found) * 0.99)]
    print(f"one expression: median {median * 1e6:.0f} µs, 99 of 100 within {late * 1e6:.0f} µs")
    assert median < MOST, f"an expression takes {median * 1e3:.3f} ms, more than {MOST * 1e3:g} ms"
    differences = []
    with tempfile.TemporaryDirectory() as store:
        run_seconds(20, GATES, Path(store))
        for _ in range(rounds):
            without = run_seconds(commands, (), Path(store))
            differences.append((run_seconds(commands, GATES, Path(store)) - without) / commands / len(GATES))
    print(f"a gate in a run: {statistics.median(differences) * 1e6:.0f} µs, recorded and all ({rounds} rounds in turn)")


if __name__ == "__main__":
    main(*(int(text) for text in [*sys.argv[1:], *("300", "5")[len(sys.argv) - 1 :]]))
