"""Trigger rules, under Airflow's names: when a command starts, given how those before it have ended."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Literal, get_args

from msgspec import Struct

from orchestrator_nb.state.transitions import DONE

TriggerRule = Literal[
    "all_success",
    "all_failed",
    "all_done",
    "all_skipped",
    "one_failed",
    "one_success",
    "one_done",
    "none_failed",
    "none_failed_min_one_success",
    "none_skipped",
    "always",
]
TRIGGER_RULES: tuple[str, ...] = get_args(TriggerRule)
DEFAULT: TriggerRule = "all_success"

Verdict = Literal["wait", "start", "skip", "fail"]
"""What a rule says of a command: it waits, may start, is to be skipped, or cannot run because of its upstream."""

_SHOWN = 3


class Tally(Struct):
    """How the `upstream` commands of a command have ended: so many in each way, the others not yet."""

    upstream: int
    succeeded: int = 0
    failed: int = 0
    upstream_failed: int = 0
    skipped: int = 0

    def add(self, state: str) -> None:
        """Count one more upstream command, if this is a state in which it has ended; a crash is a failure."""
        if state in DONE:
            self.succeeded += 1
        elif state == "skipped":
            self.skipped += 1
        elif state == "upstream_failed":
            self.upstream_failed += 1
        elif state in _FAILED:
            self.failed += 1

    @property
    def bad(self) -> int:
        """How many failed or could not run."""
        return self.failed + self.upstream_failed

    @property
    def over(self) -> bool:
        """Whether all of them have ended."""
        return self.succeeded + self.failed + self.upstream_failed + self.skipped >= self.upstream


_FAILED = frozenset({"failed", "crashed", "cancelled"})
_Test = Callable[[Tally], bool]


def _never(_: Tally) -> bool:
    return False


_RULES: dict[str, tuple[_Test, _Test, _Test]] = {
    "all_success": (
        lambda t: t.bad > 0,
        lambda t: t.skipped > 0,
        lambda t: t.succeeded == t.upstream,
    ),
    "all_failed": (
        _never,
        lambda t: t.succeeded > 0 or t.skipped > 0,
        lambda t: t.bad == t.upstream,
    ),
    "all_done": (_never, _never, lambda t: t.over),
    "all_skipped": (
        _never,
        lambda t: t.succeeded > 0 or t.bad > 0,
        lambda t: t.skipped == t.upstream,
    ),
    "one_failed": (_never, lambda t: t.over and not t.bad, lambda t: t.bad > 0),
    "one_success": (
        lambda t: t.over and not t.succeeded and t.skipped < t.upstream,
        lambda t: t.skipped == t.upstream,
        lambda t: t.succeeded > 0,
    ),
    "one_done": (
        _never,
        lambda t: t.over and not t.succeeded and not t.failed,
        lambda t: t.succeeded > 0 or t.failed > 0,
    ),
    "none_failed": (lambda t: t.bad > 0, _never, lambda t: t.over),
    "none_failed_min_one_success": (
        lambda t: t.bad > 0,
        lambda t: t.skipped == t.upstream,
        lambda t: t.over,
    ),
    "none_skipped": (_never, lambda t: t.skipped > 0, lambda t: t.over),
    "always": (_never, _never, lambda _: True),
}
"""Of each rule: by what the command cannot run, by what it is skipped, by what it starts; asked in this order."""

_AGAINST: dict[str, frozenset[str]] = {
    "all_success": frozenset({"skipped"}),
    "all_failed": DONE | {"skipped"},
    "all_skipped": DONE | {"upstream_failed"} | _FAILED,
    "none_skipped": frozenset({"skipped"}),
}
"""The states of upstream commands that speak against a rule; where none is named, it is all of them together."""

_WORDS = {
    "reused": "was reused",
    "skipped": "was skipped",
    "upstream_failed": "could not run",
    "cancelled": "was cancelled",
}


def tally_of(states: Iterable[str]) -> Tally:
    """Return the tally of upstream commands that are in these states."""
    tally = Tally(0)
    for state in states:
        tally.upstream += 1
        tally.add(state)
    return tally


def verdict(rule: str, tally: Tally) -> Verdict:
    """Return what a rule says, as Airflow means it; a command without upstream starts under every rule.

    The rules `one_…` start as soon as there is one, and `always` waits for nothing; others skip or fail as soon as one
    upstream command is enough for that. A "start" stays, whatever the others come to, and once all have ended no rule
    says "wait". Raises KeyError for an unknown rule.
    """
    fails, skips, starts = _RULES[rule]
    if not tally.upstream:
        return "start"
    if fails(tally):
        return "fail"
    if skips(tally):
        return "skip"
    return "start" if starts(tally) else "wait"


def why_skipped(rule: str, states: Mapping[str, str]) -> str:
    """Return in words why a rule skips a command whose upstream commands are in these states."""
    against = _AGAINST.get(rule)
    told = [(name, state) for name, state in states.items() if against is None or state in against]
    words = ", ".join(f'"{name}" {_WORDS.get(state, state)}' for name, state in told[:_SHOWN])
    more = f" and {len(told) - _SHOWN:,} more" if len(told) > _SHOWN else ""
    return f"{words}{more} (trigger_rule {rule})"
