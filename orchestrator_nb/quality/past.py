"""What commands came to in earlier runs: the baselines that results are held against."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from msgspec import Struct

from orchestrator_nb.state.records import CommandRecord


class Earlier(Struct, frozen=True, kw_only=True):
    """What a command came to in an earlier run that completed; the files of its results are in that run's `folder`."""

    run: str
    folder: Path
    record: CommandRecord


Past = Callable[[str], Iterator[Earlier]]
"""Gives, for the id of a command, what it came to in earlier runs that completed, the latest first."""


def no_past(command: str) -> Iterator[Earlier]:  # noqa: ARG001 - a `Past`
    """Return nothing: there is no earlier run."""
    return iter(())


class NoBaseline(Exception):
    """There is no earlier run that completed, so there is nothing to hold a result against."""
