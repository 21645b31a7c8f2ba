"""Which errors of a workflow's commands retries have never mended in its latest runs."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec

from orchestrator_nb.journal.store import JOURNAL
from orchestrator_nb.orchestrator.earlier.durations import MOST, latest_runs

RUNS_NEEDED = 3
"""In so many of the latest runs an error has to have been tried again in vain, and never with success. When nothing was
tried again for some runs, nothing is known any more, and it is tried once more."""

_KINDS = ("ErrorClassified", "AttemptStarted", "AttemptReturned")
_MARKS = tuple(f'"kind":"{kind}"'.encode() for kind in _KINDS)


class _Fact(msgspec.Struct):
    kind: str
    command: str
    attempt: int
    cause: str = ""


_decode = msgspec.json.Decoder(_Fact).decode


def never_mended(store: Path, workflow: str, commands: Collection[str]) -> dict[str, tuple[str, ...]]:
    """Return the causes of errors, by command, that retries have never mended in the latest runs.

    A journal that cannot be read tells nothing.
    """
    in_vain: dict[tuple[str, str], int] = {}
    mended: set[tuple[str, str]] = set()
    left = MOST
    for folder in latest_runs(store, workflow):
        try:
            content = (folder / JOURNAL).read_bytes() if (folder / JOURNAL).stat().st_size <= left else b""
        except OSError:
            continue
        left -= len(content)
        if _MARKS[0] not in content:  # nothing failed
            continue
        tried, right = _of_run(content)
        mended |= right
        for pattern in tried - right:
            in_vain[pattern] = in_vain.get(pattern, 0) + 1
    found: dict[str, tuple[str, ...]] = {}
    for (command, cause), runs in in_vain.items():
        if runs >= RUNS_NEEDED and (command, cause) not in mended and command in commands:
            found[command] = (*found.get(command, ()), cause)
    return found


def not_tried_again(commands: Mapping[str, Mapping[str, Any]]) -> Iterator[tuple[str, str]]:
    """Yield for each command of a plan what is said about the errors that are not tried again, for it."""
    for name, item in commands.items():
        for cause in item.get("hopeless", ()):
            sort = cause.replace("_", " ")
            text = f"an error such as {sort} is not tried again: in the latest runs that never helped"
            yield name, f"{text} (to try it all the same: recovery, learn: false)"


def _of_run(content: bytes) -> tuple[set[tuple[str, str]], set[tuple[str, str]]]:
    """Return, as command and cause, which errors were tried again in a run, and after which of them it went well."""
    errors: dict[str, dict[str, int]] = {}
    tried: set[tuple[str, str]] = set()
    right: set[tuple[str, str]] = set()
    for line in content.splitlines():
        if not any(mark in line for mark in _MARKS):
            continue
        try:
            fact = _decode(line)
        except msgspec.MsgspecError:
            continue
        if fact.kind == _KINDS[0]:
            if fact.cause:
                errors.setdefault(fact.command, {})[fact.cause] = fact.attempt
            continue
        into = tried if fact.kind == _KINDS[1] else right
        into.update((fact.command, cause) for cause, at in errors.get(fact.command, {}).items() if at < fact.attempt)
    return tried, right
