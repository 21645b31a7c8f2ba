"""A plan as its user looks at it: order, edges, critical path, batches, conflicts and predictions; nothing is run."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from msgspec import field
from msgspec.structs import fields

from orchestrator_nb.engine.outline import declared_seconds, outline, plan_net
from orchestrator_nb.engine.simulation import Simulation
from orchestrator_nb.orchestrator.reuse.verdicts import UP_TO_DATE, Verdict
from orchestrator_nb.plan.conflicts import Conflict, apart, conflicts
from orchestrator_nb.plan.plan import Plan
from orchestrator_nb.plan.pools import ALL, CPU, amount
from orchestrator_nb.state.trigger_rules import DEFAULT

SHOWN = 12
"""A critical path with more commands is shortened."""
MANY = 2_000
"""Of a plan with more commands the listing has the prediction for the slots of the run alone."""
TOO_MANY = 20_000
"""And of one with more than these, none: it would take longer than people wait for a listing."""


class Preview(Plan, frozen=True, kw_only=True):
    """A plan with what is known of its run: its `slots`, the `seconds` that commands took in earlier runs, and how
    much `memory` the machine has, in bytes, where a command takes any. `verdicts` say of each command whether it is up
    to date, where that was asked for."""

    slots: int
    seconds: Mapping[str, float] = field(default_factory=dict)
    memory: int | None = None
    verdicts: Mapping[str, Verdict] = field(default_factory=dict)

    def critical_path(self) -> list[str]:
        """Return the commands on the longest way through the graph: no number of slots makes the run shorter."""
        from orchestrator_nb.plan.ranks import critical_path

        return [self.order[place] for place in critical_path(plan_net(self), self._expected())]

    def _expected(self) -> list[float]:
        """Return how many seconds each command takes, in the order of the run: none where it is up to date."""
        known = zip(self.order, declared_seconds(self, self.seconds), strict=True)
        return [0.0 if name in self._reused() else seconds for name, seconds in known]

    def _reused(self) -> dict[str, float]:
        """Return the commands that are up to date, with the seconds that they take."""
        return {name: 0.0 for name, verdict in self.verdicts.items() if verdict.says == UP_TO_DATE}

    def batches(self) -> list[list[str]]:
        """Return the commands by level: each waits for earlier levels only. The run does not wait for whole levels."""
        from orchestrator_nb.plan.ranks import batches

        return [[self.order[place] for place in batch] for batch in batches(plan_net(self))]

    def conflicts(self) -> list[Conflict]:
        """Return what keeps commands from running at the same time besides waiting for results."""
        return conflicts(self, slots=self.slots, memory=self.memory)

    def apart(self, one: str, other: str) -> str | None:
        """Return why two commands cannot run at the same time, None where they can. Raises KeyError."""
        return apart(self, one, other, slots=self.slots, memory=self.memory)

    def simulate(
        self,
        *,
        slots: int | None = None,
        durations: Mapping[str, float] | None = None,
        outcomes: Mapping[str, Any] | None = None,
    ) -> Simulation:
        """Play the run through without running anything; see `engine.simulator.simulate`.

        The order of commands is searched for as in the run where the `slots` are those of the run, else it is the
        upward rank.
        `durations` are seconds by command and come before the known ones; what is up to date takes none. `outcomes`
        are lists of `engine.simulation.Outcome` by command, one for each attempt.
        """
        from orchestrator_nb.engine.simulation import Outcome
        from orchestrator_nb.engine.simulator import simulate
        from orchestrator_nb.recovery.optional import Optional
        from orchestrator_nb.recovery.retry import Retry

        taken, durations = slots or self.slots, {**self._reused(), **(durations or {})}
        planned = outline(
            self,
            slots=taken,
            seconds={**self.seconds, **durations},
            memory=self.memory,
            search=taken == self.slots,
        )
        told: dict[str, list[Outcome]] = {name: list(attempts) for name, attempts in (outcomes or {}).items()}
        return simulate(
            planned.planned(0.0), slots=taken, durations=durations, outcomes=told, policies=(Retry(), Optional())
        )

    def predicted(self, slots: Iterable[int] | None = None) -> dict[int, float]:
        """Return the makespan in seconds for each number of slots, 1 to those of the run if not said.

        A command of which nothing is known counts as the median of the others, one second where there are none. Numbers
        of slots that a command's `cpu` exceeds are left out.
        """
        wanted = range(1, self.slots + 1) if slots is None else slots
        cpus = [amount(cpu) for c in self.commands.values() if (cpu := c.resources.get(CPU, 1)) != ALL]
        least = max(cpus, default=1)
        return {number: self.simulate(slots=number).makespan for number in wanted if number >= least}

    def to_frame(self) -> Any:
        """Return a pandas DataFrame, a row a command in the order of the run: kind, what it waits for, why and by which
        rule, its condition, level, seconds expected, whether on the critical path."""
        import pandas as pd

        level = {name: number for number, batch in enumerate(self.batches(), start=1) for name in batch}
        critical = set(self.critical_path())
        seconds = dict(zip(self.order, self._expected(), strict=True))
        reasons: dict[str, list[str]] = {}
        for edge in self.edges:
            reasons.setdefault(edge.downstream, []).append(f"{edge.upstream}: {'; '.join(edge.reasons)}")
        rows = [
            {
                "command": name,
                "kind": self.commands[name].kind,
                "after": ", ".join(self.upstream[name]),
                "why": " | ".join(reasons.get(name, ())),
                "trigger_rule": self.commands[name].trigger_rule,
                "when": self.commands[name].when or "",
                "level": level[name],
                "seconds": seconds[name],
                "critical": name in critical,
            }
            for name in self.order
        ]
        return pd.DataFrame(rows).set_index("command")

    def to_svg(self) -> str:
        """Return the graph as a picture: the critical path marked, inferred edges dashed, reasons on hovering."""
        from orchestrator_nb.drawing.graph import Box, graph_svg

        known = {**self.seconds, **{n: c.duration for n, c in self.commands.items() if c.duration is not None}}
        boxes = {
            name: Box(
                label=name,
                note=f"{self.commands[name].kind} · {known[name]:.3g} s" if name in known else self.commands[name].kind,
                title=f"{name}: {self.commands[name].description or self.commands[name].kind}{self._routed(name)}",
            )
            for name in self.order
        }
        return graph_svg(
            {name: self.upstream[name] for name in self.order},
            boxes=boxes,
            critical=self.critical_path(),
            inferred={(edge.upstream, edge.downstream) for edge in self.edges if edge.inferred},
            reasons={(edge.upstream, edge.downstream): "; ".join(edge.reasons) for edge in self.edges},
            title=self.definition.workflow,
        )

    def _routed(self, name: str) -> str:
        """Return what says whether a command runs, where that is not the success of all before it."""
        rule, when = self.commands[name].trigger_rule, self.commands[name].when
        said = "" if rule == DEFAULT else f"; trigger_rule {rule}"
        return f"{said}; when {when}" if when else said

    def _repr_svg_(self) -> str:
        return self.to_svg()

    def _repr_html_(self) -> str:
        from orchestrator_nb.drawing.bare import drawn
        from orchestrator_nb.drawing.card import listing
        from orchestrator_nb.drawing.table import panel

        picture = f'<div class="onb-flow"><div class="onb-view onb-fixed">{drawn(self.to_svg())}</div></div>'
        return panel(f'{picture}<div class="onb-told">{listing([repr(self)])}</div>', label="plan")

    def __repr__(self) -> str:
        # Without arguments, super() does not work in a class with slots that was made anew by the decorator.
        return "\n".join([Plan.__repr__(self), "", *self._forecast()])

    def _forecast(self) -> Iterator[str]:
        """Yield lines: the critical path, the batches, the predicted makespan, what keeps commands apart."""
        path, levels = self.critical_path(), self.batches()
        seconds = dict(zip(self.order, self._expected(), strict=True))
        known = self.seconds or any(command.duration is not None for command in self.commands.values())
        shown = path if len(path) <= SHOWN else [*path[: SHOWN // 2], "…", *path[-SHOWN // 2 :]]
        yield f"critical path: {' → '.join(shown)} ({_time(sum(seconds[name] for name in path))})"
        widest = max(map(len, levels), default=0)
        yield f"batches: {len(levels):,}, the widest of {widest:,}"
        if len(self.order) <= TOO_MANY:
            doubled = [2**power for power in range(self.slots.bit_length())] if len(self.order) <= MANY else []
            times = self.predicted(sorted({*doubled, self.slots}))
            said = ", ".join(f"{number} slot{'s' * (number > 1)} {_time(time)}" for number, time in times.items())
            how = "" if known else ", a second for each command, since no durations are known"
            yield f"predicted: {said}{how}"
        for conflict in self.conflicts():
            yield f"conflict: {conflict.reason}; {conflict.at_once} at a time"
        if self.verdicts:
            yield ""
            width = max(map(len, self.verdicts))
            yield from (f"reuse: {name:<{width}}  {verdict}" for name, verdict in self.verdicts.items())


def _time(seconds: float) -> str:
    if seconds < 100:
        return f"{seconds:.3g} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"


def preview(
    plan: Plan,
    *,
    slots: int,
    seconds: Mapping[str, float],
    memory: int | None,
    verdicts: Mapping[str, Verdict] | None = None,
) -> Preview:
    """Return a plan as its user looks at it."""
    known = {item.name: getattr(plan, item.name) for item in fields(Plan)}
    return Preview(**known, slots=slots, seconds=seconds, memory=memory, verdicts=verdicts or {})
