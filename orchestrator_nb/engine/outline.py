"""What the journal says of a plan: the commands with their order, what they need, and how long they should take."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from orchestrator_nb import events as e
from orchestrator_nb.definition.matrix import CellDefinition
from orchestrator_nb.definition.models import CommandDefinition, EscalationDefinition, RecoveryDefinition
from orchestrator_nb.engine.priority import best_places, places_by_height
from orchestrator_nb.plan.alternatives import alternatives
from orchestrator_nb.plan.plan import Plan
from orchestrator_nb.plan.pools import capacities, needs, takes
from orchestrator_nb.plan.ranks import Net, expected_seconds, make_net
from orchestrator_nb.state.trigger_rules import DEFAULT


class Outline(NamedTuple):
    """The commands of a `RunPlanned`, in the order of the plan, its pools, and how many commands are left out."""

    commands: dict[str, dict[str, Any]]
    pools: dict[str, int]
    adaptive: bool = True
    left_out: int = 0
    steps: Mapping[str, tuple[str, ...]] = {}
    merge: Mapping[str, str] = {}

    def planned(self, at: float) -> e.RunPlanned:
        """Return the event that records it."""
        return e.RunPlanned(
            at=at,
            commands=self.commands,
            pools=self.pools,
            adaptive=self.adaptive,
            left_out=self.left_out,
            steps=self.steps,
            merge=self.merge,
        )


def outline(
    plan: Plan,
    *,
    slots: int,
    seconds: Mapping[str, float] | None = None,
    memory: int | None = None,
    search: bool = True,
) -> Outline:
    """Return the outline of a plan for so many slots.

    `seconds` are the durations known from earlier runs; what the definition declares comes first. `memory` is what the
    machine has, in bytes. With known durations the order is searched for; it is the upward rank without them, where
    commands need more than a slot, and without `search`.
    """
    known = {**(seconds or {}), **_declared(plan)}
    recovery = plan.definition.recovery
    commands = {name: _item(plan.commands[name], plan.upstream[name], recovery) for name in plan.order}
    for name, fan_ins in plan.fan_ins.items():
        if plan.commands[name].when is not None:
            gathered = {
                base: next(iter(each.cells.values())) if each.one else each.cells for base, each in fan_ins.items()
            }
            commands[name]["fan_ins"] = gathered
    for name, command in plan.commands.items():
        stands_in = plan.commands.get(command.fallback or "")
        if stands_in is not None and stands_in.fallback != name:
            commands[stands_in.id]["standby"] = True
    for name, others in alternatives(plan.commands, plan.upstream).items():
        commands[name]["alternatives"] = list(others)
        for other in others:
            commands[other]["standby"] = True
    pools: dict[str, int] = {}
    if any(takes(command) for command in plan.commands.values()):
        pools = capacities(plan.definition, slots=slots, memory=memory)
        for name, command in plan.commands.items():
            if takes(command):
                commands[name]["needs"] = needs(command, pools)
            if command.retry_resources:
                commands[name]["retry_needs"] = needs(command, pools, retry=True)
    for name in known.keys() & commands.keys():
        commands[name]["seconds"] = known[name]
        commands[name]["program"] = _program(plan.commands[name])
    _rank(commands, slots=slots, search=search and not pools)
    required = tuple(f"{e.GATE}{gate.title}" for gate in plan.definition.quality_requirements)
    steps = {"completion": required} if required else {}
    return Outline(commands, pools, plan.definition.optimization.adaptive, steps=steps, merge=plan.definition.merge)


def with_ranks(
    commands: Mapping[str, Mapping[str, Any]], *, slots: int, search: bool = True
) -> dict[str, dict[str, Any]]:
    """Return the commands of a plan with their ranks, or without where they start in the order of the plan anyway.

    The order is searched for where durations are known, unless `search` is off.
    """
    found = {name: {key: item[key] for key in item if key != "rank"} for name, item in commands.items()}
    _rank(found, slots=slots, search=search)
    return found


def _rank(commands: dict[str, dict[str, Any]], *, slots: int, search: bool) -> None:
    known = {name: item["seconds"] for name, item in commands.items() if "seconds" in item}
    priorities = [item.get("priority", 0) for item in commands.values()]
    upstream = {name: item.get("upstream", ()) for name, item in commands.items()}
    if known or any(priorities):
        net = make_net(upstream)
        places = best_places(
            net,
            expected_seconds(net.names, known),
            slots,
            priorities=priorities if any(priorities) else (),
            search=search and bool(known),
        )
    else:
        places = places_by_height(upstream)
    if places != list(range(len(places))):
        for item, place in zip(commands.values(), places, strict=True):
            item["rank"] = place


def plan_net(plan: Plan) -> Net:
    """Return the graph of a plan, its commands numbered in its order."""
    return make_net({name: plan.upstream[name] for name in plan.order})


def declared_seconds(plan: Plan, seconds: Mapping[str, float] | None = None) -> list[float]:
    """Return a duration for each command in the order of the plan; what is declared comes before `seconds`."""
    return expected_seconds(plan.order, {**(seconds or {}), **_declared(plan)})


def _declared(plan: Plan) -> dict[str, float]:
    return {name: command.duration for name, command in plan.commands.items() if command.duration is not None}


def _item(command: CommandDefinition, upstream: tuple[str, ...], recovery: RecoveryDefinition) -> dict[str, Any]:
    item: dict[str, Any] = {"kind": command.kind, "upstream": list(upstream)}
    if command.optional:
        item["optional"] = True
    retries = recovery.retries if command.retries is None and command.idempotent else command.retries
    if retries is not None:
        item["retries"] = retries
    delay = command.retry_delay or recovery.retry_delay
    if delay is not None:
        item["retry_delay"] = delay
    if recovery.escalation is not None if command.escalate is None else command.escalate:
        item["escalation"] = (recovery.escalation or EscalationDefinition()).model_dump(exclude_defaults=True)
    if command.degraded:
        item["degraded"] = command.degraded
    if command.fallback is not None:
        item["fallback"] = command.fallback
    if not command.idempotent:
        item["idempotent"] = False
    if command.priority:
        item["priority"] = command.priority
    if command.trigger_rule != DEFAULT:
        item["trigger_rule"] = command.trigger_rule
    if command.milestone:
        item["milestone"] = True
    if command.tags:
        item["tags"] = list(command.tags)
    if command.when is not None:
        item["when"] = command.when
    if command.checks:
        item["steps"] = [f"{e.GATE}{gate.title}" for gate in command.checks]
    if isinstance(command, CellDefinition):
        item.update(matrix=command.matrix_of, key=command.key, cell=command.cell)
    return item


def _program(command: CommandDefinition) -> str:
    """Return what the command runs, whatever it runs it with."""
    shell = " ".join(command.shell or ())
    return command.notebook or command.call or command.command or command.workflow or shell or command.kind
