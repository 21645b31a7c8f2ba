"""What it costs to record what commands take of the machine, beside the same run with that switched off.

    python tests/benchmarks/bench_recording.py [NO-OPS] [ROUNDS]

Runs with and without take turns; of each the least is taken, so that the machine's mood counts little. A no-op is a
callable in a thread, of which thousands run; the commands of one second are processes of the shell, watched at the same
pace as the kernels of notebooks.
"""

from __future__ import annotations

import resource
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from orchestrator_nb import Workflow

SECONDS, SLOTS = 8, 4


def no_ops(count: int, store: Path) -> Callable[[bool], None]:
    """Return what runs so many callables that do nothing, with recording or without."""

    def nothing() -> None:
        return None

    def run(recording: bool) -> None:
        flow = Workflow("none", durability="process", monitoring={"resources": recording})
        for number in range(count):
            flow.command(nothing, id=f"c{number}")
        flow.run(store=store)

    return run


def seconds(store: Path) -> Callable[[bool], None]:
    """Return what runs commands that take a second each, with recording or without."""

    def run(recording: bool) -> None:
        flow = Workflow("second", slots=SLOTS, monitoring={"resources": recording})
        for number in range(SECONDS):
            flow.shell(["sleep", "1"], id=f"c{number}")
        flow.run(store=store)

    return run


def cost(run: Callable[[bool], None], recording: bool) -> tuple[float, float]:
    """Return the CPU seconds, children included, and the seconds that a run took."""
    who = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    before, begun = [resource.getrusage(each) for each in who], time.perf_counter()
    run(recording)
    took, after = time.perf_counter() - begun, [resource.getrusage(each) for each in who]
    cpu = sum(b.ru_utime + b.ru_stime - a.ru_utime - a.ru_stime for a, b in zip(before, after, strict=True))
    return cpu, took


def least(run: Callable[[bool], None], rounds: int) -> dict[bool, tuple[float, float]]:
    """Return the least CPU seconds and the least seconds with recording and without; they take turns."""
    run(True)  # imports and caches
    found: dict[bool, list[tuple[float, float]]] = {True: [], False: []}
    for number in range(rounds):
        for recording in (True, False) if number % 2 else (False, True):
            found[recording].append(cost(run, recording))
    return {which: (min(cpu for cpu, _ in each), min(took for _, took in each)) for which, each in found.items()}


def main(count: int, rounds: int) -> None:
    """Print what recording adds."""
    with tempfile.TemporaryDirectory() as place:
        found = least(no_ops(count, Path(place)), rounds)
        added = (found[True][0] - found[False][0]) / count
        print(f"{count:,} no-ops, least of {rounds} rounds: {found[True][0]:.3f} s of CPU with recording, "
              f"{found[False][0]:.3f} s without: {added * 1e6:.1f} µs a command (wanted: under 20)")  # fmt: skip
        found = least(seconds(Path(place)), max(2, rounds // 2))
        cpu, took = (found[True][which] - found[False][which] for which in (0, 1))
        whole = found[False][1]
        print(f"{SECONDS} commands of one second, {SLOTS} at a time: {cpu / whole:.2%} of the run's {whole:.2f} s more CPU, "
              f"{took / whole:+.2%} of its time (wanted: under 3 %)")  # fmt: skip


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 2000, int(sys.argv[2]) if len(sys.argv) > 2 else 6)
