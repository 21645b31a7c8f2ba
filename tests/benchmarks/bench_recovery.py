"""What recovery is worth: no recovery, plain retries and the policies of a real run, under four sorts of faults.

The loop, the scheduler and the policies are the real ones, on a virtual clock. For each sort of fault and many seeds it
prints how many commands succeeded, how much work came to nothing, and how long the runs took. It fails where the
policies are not ahead of plain retries: never fewer successes, and less wasted work or more successes.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

from orchestrator_nb import events as e
from orchestrator_nb.engine.loop import Loop
from orchestrator_nb.engine.simulation import Outcome
from orchestrator_nb.engine.simulator import VirtualExecutor, make_scheduler
from orchestrator_nb.journal.memory import JournalInMemory
from orchestrator_nb.orchestrator.policies import POLICIES
from orchestrator_nb.ports import Policy, Work
from orchestrator_nb.state.run_state import RunState

COMMANDS, SLOTS = 60, 8


class PlainRetry:
    """Whatever failed is tried again after 1, 2 and 4 seconds."""

    kinds: tuple[type[e.Event], ...] = (e.AttemptFailed,)
    decides: tuple[type[e.Event], ...] = (e.AttemptFailed,)

    def __call__(self, event: Any, state: RunState) -> Iterable[e.Event]:
        retry = state.commands[event.command].retry + 1
        if retry > 3:
            return ()
        due = event.at + 2.0 ** (retry - 1)
        return (e.RetryScheduled(at=event.at, command=event.command, due=due, retry=retry, retries=3),)


WAYS: dict[str, Sequence[Policy]] = {"no recovery": (), "plain retry": (PlainRetry(),), "ours": POLICIES}

REFUSED = e.Failure(
    kind="exception",
    message="http://service:80/ refused",
    types=("ConnectionRefusedError", "ConnectionError", "OSError"),
)
RESET = e.Failure(
    kind="exception", message="reset by peer", types=("ConnectionResetError", "ConnectionError", "OSError")
)
MISSING = e.Failure(kind="exception", message="no module named x", types=("ModuleNotFoundError", "ImportError"))
LOCKED = e.Failure(kind="exception", message="database is locked", types=("sqlite3.OperationalError",))

Fault = Callable[[Work, float, frozenset[str]], Outcome | None]
"""Says how an attempt goes that begins now, beside those that are under way; None for well."""


class FaultyExecutor(VirtualExecutor):
    """A virtual executor whose attempts go as a fault says when they begin."""

    def __init__(self, seconds: Mapping[str, float], fault: Fault) -> None:
        super().__init__(seconds, {})
        self._fault = fault

    def submit(self, work: Work) -> None:
        running = frozenset(entry[2] for entry in self._running)
        outcome = self._fault(work, self.now, running)
        told = [Outcome()] * (work.attempt - 1) + ([] if outcome is None else [outcome])
        self._outcomes = {work.command: told}
        super().submit(work)


def transient(random: Random) -> Fault:
    """One attempt in four fails halfway, and a repetition may go well."""
    return lambda _work, _now, _running: Outcome(seconds=2.0, failure=RESET) if random.random() < 0.25 else None


def permanent(random: Random) -> Fault:
    """One command in ten fails each time, after all of its work."""
    broken = {f"c{number}" for number in range(COMMANDS) if random.random() < 0.1}
    return lambda work, _now, _running: Outcome(seconds=5.0, failure=MISSING) if work.command in broken else None


def contention(random: Random) -> Fault:
    """Four commands in ten write to one database, and whoever begins while another writes fails after a while."""
    writers = {f"c{number}" for number in range(COMMANDS) if random.random() < 0.4}

    def fault(work: Work, _now: float, running: frozenset[str]) -> Outcome | None:
        taken = work.command in writers and bool(writers & running - {work.command})
        return Outcome(seconds=1.0, failure=LOCKED) if taken else None

    return fault


def outage(random: Random) -> Fault:
    """A service that most commands need is away for a while."""
    users = {f"c{number}" for number in range(COMMANDS) if random.random() < 0.8}
    begins, lasts = random.uniform(0.0, 10.0), random.uniform(20.0, 60.0)

    def fault(work: Work, now: float, _running: frozenset[str]) -> Outcome | None:
        away = work.command in users and begins <= now < begins + lasts
        return Outcome(seconds=0.5, failure=REFUSED) if away else None

    return fault


FAULTS: dict[str, Callable[[Random], Fault]] = {
    "transient": transient,
    "permanent": permanent,
    "contention": contention,
    "outage": outage,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """Of a run: the share of its commands that succeeded, the seconds of work that came to nothing, and its length."""

    succeeded: float
    wasted: float
    seconds: float


def play(fault: Fault, policies: Sequence[Policy], *, run: str, random: Random) -> Measured:
    """Run the workflow, a few layers of commands that follow each other, under a fault."""
    names = [f"c{number}" for number in range(COMMANDS)]
    upstream = {name: [names[place - 20]] if place >= 20 else [] for place, name in enumerate(names)}
    seconds = {name: random.uniform(1.0, 6.0) for name in names}
    executor = FaultyExecutor(seconds, fault)
    journal = JournalInMemory()
    commands = {name: {"upstream": before} for name, before in upstream.items()}
    loop = Loop(
        state=RunState(),
        scheduler=make_scheduler(commands, slots=SLOTS),
        policies=policies,
        journal=journal,
        executor=executor,
        make_work=executor.work,
        clock=executor.clock,
    )
    started = e.RunStarted(at=0.0, run=run, workflow="w", slots=SLOTS)
    loop.begin([started, e.RunPlanned(at=0.0, commands=commands)])
    while not loop.is_over:
        due, end = loop.next_due(), executor.next_end()
        if end is not None and (due is None or end <= due):
            executor.end_next()
        else:
            assert due is not None, "nothing goes on"
            executor.now = max(executor.now, due)
            loop.take_due()
    if loop.error is not None:
        raise loop.error
    wasted = sum(event.seconds for event in journal.read() if isinstance(event, e.AttemptFailed))
    done = sum(record.state == "succeeded" for record in loop.published.commands.values())
    return Measured(succeeded=done / COMMANDS, wasted=wasted, seconds=executor.now)


def compare(seeds: int) -> dict[str, dict[str, Measured]]:
    """Return what each way came to under each sort of fault, in the mean over so many seeds."""
    found: dict[str, dict[str, Measured]] = {}
    for name, make in FAULTS.items():
        found[name] = {}
        for way, policies in WAYS.items():
            runs = [
                play(make(Random(f"{name} {seed}")), policies, run=f"{name} {seed}", random=Random(seed))
                for seed in range(seeds)
            ]
            found[name][way] = Measured(
                succeeded=sum(run.succeeded for run in runs) / seeds,
                wasted=sum(run.wasted for run in runs) / seeds,
                seconds=sum(run.seconds for run in runs) / seeds,
            )
    return found


def is_ahead(ours: Measured, plain: Measured) -> bool:
    """Tell whether no fewer commands succeed, and either more do or less work is wasted."""
    more, fewer = ours.succeeded > plain.succeeded, ours.succeeded < plain.succeeded
    return not fewer and (more or ours.wasted < plain.wasted)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=50)
    seeds = parser.parse_args().seeds
    found = compare(seeds)
    print(f"{COMMANDS} commands, {SLOTS} at a time, mean of {seeds} seeds")
    print(f"{'faults':<12}{'way':<14}{'succeeded':>10}{'wasted':>10}{'length':>10}")
    for fault, ways in found.items():
        for way, got in ways.items():
            print(f"{fault:<12}{way:<14}{got.succeeded:>10.1%}{got.wasted:>8.1f} s{got.seconds:>8.1f} s")
    behind = [fault for fault, ways in found.items() if not is_ahead(ways["ours"], ways["plain retry"])]
    if behind:
        raise SystemExit(f"not ahead of plain retries under: {', '.join(behind)}")


if __name__ == "__main__":
    main()
