"""A recorded run decided once more: the same facts have to lead to the same decisions; other facts may be tried."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest

from msgspec.structs import replace

from orchestrator_nb import events as e
from orchestrator_nb.engine.conditions import CAUSE
from orchestrator_nb.engine.loop import Loop
from orchestrator_nb.engine.outline import with_ranks
from orchestrator_nb.engine.simulation import Outcome, Simulation
from orchestrator_nb.engine.simulator import VirtualExecutor, make_scheduler, simulate
from orchestrator_nb.errors import UsageError
from orchestrator_nb.journal.memory import JournalInMemory
from orchestrator_nb.ports import Policy
from orchestrator_nb.state.run_state import RunState

_STEPS = (
    e.AttemptStarted,
    e.CommandSkipped,
    e.CommandFailed,
    e.UpstreamFailed,
    e.CommandCancelled,
    e.StepsDue,
    e.RunCompleting,
    e.RunEnded,
)
"""What the scheduler decides, when nothing else is being answered."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Replay:
    """How deciding once more went: how many `decisions` were the same, and the first `difference`, None if none was."""

    decisions: int
    difference: str | None

    @property
    def same(self) -> bool:
        """True when every decision was the recorded one, in the recorded order."""
        return self.difference is None


def replay(events: Iterable[e.Event], *, policies: Sequence[Policy]) -> Replay:
    """Give the recorded facts of a run to loop, policies and scheduler again, and compare what they decide.

    Times are the recorded ones. `policies` are those that the run had. Raises IllegalTransition where the facts do not
    fit together.
    """
    recorded = list(events)
    state = RunState()
    loop = Loop(
        state=state,
        scheduler=make_scheduler({}, slots=1),
        policies=policies,
        journal=JournalInMemory(),
        executor=VirtualExecutor({}, {}),
        make_work=VirtualExecutor.work,
        clock=float,
    )
    place = decisions = 0
    while place < len(recorded):
        fact = recorded[place]
        if type(fact) is e.RunPlanned or (type(fact) is e.RunResumed and fact.owner):
            # A scheduler of its own for each owner and each plan, as there was.
            commands = fact.commands if type(fact) is e.RunPlanned else _commands(state)
            slots = (fact.slots if type(fact) is e.RunResumed else None) or state.run.slots
            loop.schedule_by(make_scheduler(commands, slots=slots))
        stepped = type(fact) in _STEPS or (type(fact) is e.RunPaused and fact.parked)
        decided = loop.decide_at(fact.at) if stepped else loop.decide(fact)
        if not decided:
            return Replay(decisions=decisions, difference=_difference(fact, None))
        for was, now in zip_longest(recorded[place : place + len(decided)], decided):
            if was is None or now is None or replace(was, at=0.0) != replace(now, at=0.0):
                return Replay(decisions=decisions, difference=_difference(was, now))
            decisions += was is not fact or stepped
        place += len(decided)
    left = loop.decide_at(recorded[-1].at) if recorded else []
    return Replay(decisions=decisions, difference=_difference(None, left[0]) if left else None)


def what_if(
    events: Iterable[e.Event],
    *,
    slots: int | None = None,
    durations: Mapping[str, float] | None = None,
    outcomes: Mapping[str, Sequence[Outcome]] | None = None,
    policies: Sequence[Policy] = (),
) -> Simulation:
    """Simulate a recorded run with other slots, durations (seconds by command) or outcomes of attempts.

    What is not given is as it was recorded, also what conditions came to. Raises UsageError for a run that was never planned.
    """
    plan: e.RunPlanned | None = None
    started: e.RunStarted | None = None
    were: dict[str, list[Outcome]] = {}
    returned: dict[str, int] = {}  # the last attempt that did, by command
    unmet: set[str] = set()  # whose condition did not hold
    for event in events:
        if type(event) is e.RunStarted:
            started = event
        elif type(event) is e.RunPlanned:
            plan = event
        elif type(event) is e.AttemptStarted:
            unmet.discard(event.command)
        elif type(event) is e.CommandSkipped and event.cause == CAUSE:
            unmet.add(event.command)
        elif type(event) is e.CommandFailed and event.failure is not None:
            were[event.command] = [Outcome(seconds=0.0, failure=event.failure)]
        elif type(event) is e.AttemptReturned:
            were.setdefault(event.command, []).append(Outcome(seconds=event.seconds))
            returned[event.command] = event.attempt
        elif type(event) is e.AttemptFailed:
            failed = Outcome(seconds=event.seconds, failure=event.failure, crashed=event.crashed)
            told = were.setdefault(event.command, [])
            if returned.pop(event.command, None) == event.attempt:
                told.pop()  # it is one attempt, whose result did not pass
            told.append(failed)
    if plan is None or started is None:
        raise UsageError("a run that has no plan yet cannot be simulated")
    if slots is not None and slots != started.slots:
        plan = replace(plan, commands=with_ranks(plan.commands, slots=slots, search=not plan.pools))
    if unmet:
        commands = {name: {**item, "when": "false"} if name in unmet else item for name, item in plan.commands.items()}
        plan = replace(plan, commands=commands)
    other = durations or {}
    were = {
        name: [Outcome(seconds=other[name], failure=item.failure, crashed=item.crashed) for item in each]
        if name in other
        else each
        for name, each in were.items()
    }
    return simulate(
        plan,
        slots=slots or started.slots,
        durations=other,
        outcomes={**were, **(outcomes or {})},
        policies=policies,
        run=started.run,
    )


def _commands(state: RunState) -> dict[str, dict[str, object]]:
    return {name: {"upstream": item.upstream} for name, item in state.planned.items()}


def _difference(was: e.Event | None, now: e.Event | None) -> str:
    return f"recorded: {_said(was)}; decided now: {_said(now)}"


def _said(event: e.Event | None) -> str:
    if event is None:
        return "nothing"
    command, attempt = getattr(event, "command", None), getattr(event, "attempt", None)
    return " ".join(str(part) for part in (type(event).__name__, command, attempt) if part is not None)
