"""What keeps commands from running at the same time, and why."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping

from msgspec import Struct

from orchestrator_nb.plan.plan import Plan
from orchestrator_nb.plan.pools import CPU, capacities, needs, takes


class Conflict(Struct, frozen=True, kw_only=True):
    """Commands that share something: no more than `at_once` of them can run at a time. `kind` is writers or pool."""

    kind: str
    commands: tuple[str, ...]
    at_once: int
    reason: str


def conflicts(plan: Plan, *, slots: int, memory: int | None = None) -> list[Conflict]:
    """Return all that keeps commands apart besides waiting for results: shared files and pools."""
    return [*_writers(plan), *_pools(plan, slots=slots, memory=memory)]


def apart(plan: Plan, one: str, other: str, *, slots: int, memory: int | None = None) -> str | None:
    """Return why two commands cannot run at the same time, None where they can. Raises KeyError for unknown ones."""
    for before, after in ((one, other), (other, one)):
        way = _way(plan, before, after)
        if way:
            through = f", through {', '.join(way[1:-1])}" if len(way) > 2 else ""
            return f'"{after}" waits for "{before}"{through}'
    capacity = capacities(plan.definition, slots=slots, memory=memory)
    wanted = [needs(plan.commands[name], capacity) for name in (one, other)]
    for pool, there in capacity.items():
        both = [item.get(pool, 0) for item in wanted]
        if all(both) and sum(both) > there:
            return f'together they take {sum(both):,} of "{pool}", and there are {there:,}'
    return None


def _writers(plan: Plan) -> Iterator[Conflict]:
    """Yield those that write the same: the plan has put them in an order."""
    names: dict[str, list[str]] = defaultdict(list)
    for name in plan.order:
        for text in dict.fromkeys(plan.commands[name].writes):
            names[text].append(name)
    for text, writers in names.items():
        if len(writers) > 1:
            how = (
                "exclusive" if any(plan.commands[name].exclusive for name in writers) else "in the order that was said"
            )
            reason = f'{_quoted(writers)} write "{text}": one after the other, {how}'
            yield Conflict(kind="writers", commands=tuple(writers), at_once=1, reason=reason)


def _pools(plan: Plan, *, slots: int, memory: int | None) -> Iterator[Conflict]:
    """Yield those that take from one pool and cannot all have it at once; of the slots, those that take several."""
    capacity = capacities(plan.definition, slots=slots, memory=memory)
    takers: dict[str, dict[str, int]] = defaultdict(dict)
    for name in plan.order:
        if takes(plan.commands[name]):
            for pool, value in needs(plan.commands[name], capacity).items():
                if pool != CPU or value > 1:
                    takers[pool][name] = value
    for pool, taken in takers.items():
        at_once = _most(taken, capacity[pool])
        if len(taken) > 1 and at_once < len(taken):
            reason = f'{_quoted(taken)} take from "{pool}", of which there are {capacity[pool]:,}'
            yield Conflict(kind="pool", commands=tuple(taken), at_once=at_once, reason=reason)


def _most(taken: Mapping[str, int], capacity: int) -> int:
    """Return how many can be served at once at the most: those that take the least."""
    count = 0
    for value in sorted(taken.values()):
        capacity -= value
        if capacity < 0:
            break
        count += 1
    return count


def _way(plan: Plan, before: str, after: str) -> list[str]:
    """Return the shortest way from one command to a later one, both included; empty where there is none."""
    came_from: dict[str, str] = {before: before}
    waiting = [before]
    for name in waiting:
        if name == after:
            way = [after]
            while way[-1] != before:
                way.append(came_from[way[-1]])
            return way[::-1]
        for following in plan.downstream[name]:
            if following not in came_from:
                came_from[following] = name
                waiting.append(following)
    return []


def _quoted(names: Mapping[str, int] | list[str]) -> str:
    shown = [f'"{name}"' for name in list(names)[:6]]
    if len(names) > 6:
        return f"{', '.join(shown)} and {len(names) - 6:,} more"
    return f"{', '.join(shown[:-1])} and {shown[-1]}"
