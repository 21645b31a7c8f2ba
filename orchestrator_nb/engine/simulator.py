"""A run without its commands: the very loop and scheduler, on a clock that jumps from one event to the next."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from heapq import heappop, heappush
from pathlib import Path

from msgspec.structs import replace

from orchestrator_nb import events as e
from orchestrator_nb.definition.expressions import Expression
from orchestrator_nb.definition.models import CommandDefinition
from orchestrator_nb.engine.loop import Loop
from orchestrator_nb.engine.scheduler import Scheduler
from orchestrator_nb.engine.simulation import Outcome, Row, Simulation
from orchestrator_nb.journal.memory import JournalInMemory
from orchestrator_nb.plan.ranks import expected_seconds
from orchestrator_nb.ports import Policy, Report, Step, Work
from orchestrator_nb.state.run_state import RunState
from orchestrator_nb.state.step_facts import PROBE

_PLACEHOLDER = CommandDefinition(id="simulated", command="simulated")
_NOWHERE = Path()


def simulate(
    what: Mapping[str, Sequence[str]] | e.RunPlanned,
    *,
    slots: int,
    durations: Mapping[str, float] | None = None,
    outcomes: Mapping[str, Sequence[Outcome]] | None = None,
    policies: Sequence[Policy] = (),
    run: str = "simulated",
) -> Simulation:
    """Play a run through, with the scheduler and the loop of a real one, and say how it would go.

    `what` is a graph, each command with its upstream in an order in which they can run, or a recorded plan. `durations`
    are seconds by command, before those of the plan; what has neither takes what is usual among the others, 1 where
    there are none. `outcomes` says how the attempts of a command go, one after the other; those after the last return.
    They return nothing, so that a condition that looks at something is taken to hold; one that says `false` does not.
    `policies` are those of a real run; without them a failure is final. Random draws of policies go by the name of the
    `run`.
    """
    planned = _decided(what) if isinstance(what, e.RunPlanned) else _planned(what)
    names = list(planned.commands)
    told = {name: item["seconds"] for name, item in planned.commands.items() if item.get("seconds") is not None}
    seconds = dict(zip(names, expected_seconds(names, {**told, **(durations or {})}), strict=True))
    executor = VirtualExecutor(seconds, outcomes or {})
    journal = JournalInMemory()
    loop = Loop(
        state=RunState(),
        scheduler=make_scheduler(planned.commands, slots=slots),
        policies=policies,
        journal=journal,
        executor=executor,
        make_work=executor.work,
        clock=executor.clock,
    )
    loop.begin([e.RunStarted(at=0.0, run=run, workflow=run, slots=slots), planned])
    while not loop.is_over and _go_on(loop, executor):
        pass
    if loop.error is not None:
        raise loop.error
    events = tuple(journal.read())
    return Simulation(
        state=loop.published.phase, slots=slots, makespan=executor.now, timeline=timeline(events), events=events
    )


def make_scheduler(commands: Mapping[str, Mapping[str, object]], *, slots: int) -> Scheduler:
    """Return a scheduler for the commands of a `RunPlanned`."""
    upstream: dict[str, Sequence[str]] = {name: item.get("upstream", ()) for name, item in commands.items()}  # type: ignore[misc]
    downstream: dict[str, list[str]] = {name: [] for name in upstream}
    for name, before in upstream.items():
        for other in before:
            downstream[other].append(name)
    return Scheduler(order=list(upstream), upstream=upstream, downstream=downstream, slots=slots)


def timeline(events: Sequence[e.Event]) -> tuple[Row, ...]:
    """Return every attempt that has ended, in the order in which they ended, by the times of the events."""
    begin = next((event.at for event in events if type(event) is e.RunStarted), 0.0)
    started: dict[tuple[str, int], float] = {}
    rows = []
    for event in events:
        if type(event) is e.AttemptStarted:
            started[event.command, event.attempt] = event.at - begin
        elif (outcome := _OUTCOMES.get(type(event))) is not None:
            command, attempt = event.command, event.attempt  # type: ignore[attr-defined]
            start = started.get((command, attempt), 0.0)
            rows.append(Row(command=command, attempt=attempt, start=start, end=event.at - begin, outcome=outcome))
    return tuple(rows)


_OUTCOMES: dict[type[e.Event], str] = {
    e.AttemptReturned: "returned",
    e.AttemptFailed: "failed",
    e.AttemptAbandoned: "abandoned",
    e.AttemptInterrupted: "interrupted",
}


def _decided(planned: e.RunPlanned) -> e.RunPlanned:
    """Return the plan without the conditions that depend on anything."""
    planned = _without_steps(planned)
    depends = [
        name for name, item in planned.commands.items() if item.get("when") and Expression.parse(item["when"]).names
    ]
    if not depends:
        return planned
    return replace(planned, commands={**planned.commands, **{n: {**planned.commands[n], "when": ""} for n in depends}})


def _without_steps(planned: e.RunPlanned) -> e.RunPlanned:
    """Return the plan without what is done besides its commands: that looks at results and files, and there are none."""
    commands = {name: {key: item[key] for key in item if key != "steps"} for name, item in planned.commands.items()}
    return replace(planned, commands=commands, steps={})


def _planned(graph: Mapping[str, Sequence[str]]) -> e.RunPlanned:
    return e.RunPlanned(at=0.0, commands={name: {"upstream": list(before)} for name, before in graph.items()})


def _go_on(loop: Loop, executor: VirtualExecutor) -> bool:
    """Jump to whatever comes next, an end or a retry, and let the loop have it; False when nothing comes any more."""
    due, end = loop.next_due(), executor.next_end()
    if end is not None and (due is None or end <= due):
        executor.end_next()
    elif due is not None:
        executor.now = max(executor.now, due)
        loop.take_due()
    else:
        return False
    return True


class VirtualExecutor:
    """`ports.Executor` with a time of its own, `now`: attempts end when it is put there."""

    def __init__(self, seconds: Mapping[str, float], outcomes: Mapping[str, Sequence[Outcome]]) -> None:
        self.now = 0.0
        self._seconds = seconds
        self._outcomes = outcomes
        self._running: list[tuple[float, int, str, int, Outcome]] = []
        self._begun = 0
        self._report: Report

    def clock(self) -> float:
        """Return the time: seconds from the beginning."""
        return self.now

    @staticmethod
    def work(command: str, state: RunState) -> Work:
        """Return the work of an attempt: as much of it as is needed here."""
        return Work(
            run=state.run.run,
            workflow=state.run.workflow,
            command=command,
            attempt=state.commands[command].attempt,
            generation=1,
            definition=_PLACEHOLDER,
            folder=_NOWHERE,
            run_folder=_NOWHERE,
        )

    def start(self, report: Report) -> None:
        self._report = report

    def submit(self, work: Work) -> None:
        command = work.command
        told = self._outcomes.get(command, ())
        outcome = told[work.attempt - 1] if work.attempt <= len(told) else _RETURNS
        seconds = self._seconds[command] if outcome.seconds is None else outcome.seconds
        self._begun += 1
        heappush(self._running, (self.now + seconds, self._begun, command, work.attempt, outcome))

    def next_end(self) -> float | None:
        """Return when the next attempt ends; of several at once, the one that was submitted first is the next."""
        return self._running[0][0] if self._running else None

    def end_next(self) -> None:
        """Put the clock to the next end, and report it."""
        at, _, command, attempt, outcome = heappop(self._running)
        self.now = at
        seconds = self._seconds[command] if outcome.seconds is None else outcome.seconds
        if outcome.failure is None:
            self._report(e.AttemptReturned(at=at, command=command, attempt=attempt, seconds=seconds))
        else:
            self._report(
                e.AttemptFailed(
                    at=at,
                    command=command,
                    attempt=attempt,
                    seconds=seconds,
                    failure=outcome.failure,
                    crashed=outcome.crashed,
                )
            )

    def carry_out(self, step: Step) -> None:
        """Answer a look at the machine before a retry: nothing is missing. A simulated plan has no other steps."""
        assert step.name == PROBE
        assert step.command is not None
        assert step.attempt is not None
        self._report(e.ResourcesProbed(at=self.now, command=step.command, attempt=step.attempt))

    def end(self, command: str, attempt: int, reason: str, grace: float) -> None:
        """Nothing asks for it: a simulated run is neither paused nor stopped."""

    def close(self) -> None:
        """Nothing is held."""


_RETURNS = Outcome()
