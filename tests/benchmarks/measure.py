"""Measures whole processes: CPU seconds of a command and its children, interleaved round by round, medians and ratios."""

from __future__ import annotations

import os
import resource
import statistics
import subprocess
import sys
from collections.abc import Mapping, Sequence


def cpu_seconds(argv: Sequence[str], *, cwd: str | None = None) -> float:
    """Run a program to its end and return its user and system seconds, those of its children included."""
    return cpu_and_output(argv, cwd=cwd)[0]


def cpu_and_output(argv: Sequence[str], *, cwd: str | None = None) -> tuple[float, str]:
    """Return what `cpu_seconds` does, and what the program printed."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(argv, check=True, stdout=subprocess.PIPE, text=True, cwd=cwd, env=environment())
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, done.stdout


def environment() -> dict[str, str]:
    """Return our environment, in which bytecode is kept: without it every import would be compiled anew."""
    return {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}


def interleaved(
    commands: Mapping[str, Sequence[str]], *, rounds: int, cwd: str | None = None
) -> dict[str, list[float]]:
    """Return the CPU seconds of each command in each round; the commands take turns, so that the machine's mood hits
    all of them alike. A round before the first warms the caches and does not count."""
    found: dict[str, list[float]] = {name: [] for name in commands}
    for number in range(rounds + 1):
        for name, argv in commands.items():
            seconds = cpu_seconds(argv, cwd=cwd)
            if number:
                found[name].append(seconds)
    return found


def table(found: Mapping[str, Sequence[float]], *, beside: str, unit: float = 1.0, unit_name: str = "s") -> str:
    """Return a table of medians and of the median ratio, round by round, to the command named `beside`."""
    width = max(map(len, found))
    lines = [f"{'':{width}}  {'median':>10}  {'least':>10}  {'most':>10}  {'of ' + beside:>12}"]
    for name, values in found.items():
        ratio = statistics.median(value / other for value, other in zip(values, found[beside], strict=True))
        figures = (statistics.median(values), min(values), max(values))
        lines.append(f"{name:{width}}  " + "  ".join(f"{f * unit:10.4f}" for f in figures) + f"  {ratio:12.3f}")
    return "\n".join(
        [*lines, f"CPU in {unit_name}, children included; {len(next(iter(found.values())))} rounds in turn"]
    )


def python(code: str) -> list[str]:
    """Return the command line that runs this code in the interpreter that runs us."""
    return [sys.executable, "-c", code]
