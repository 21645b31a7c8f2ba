"""A plan in the making: the edges are collected, cycles broken or named, writers of one resource put in order."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from orchestrator_nb.definition.matrix import CellDefinition, Expanded, FanIn
from orchestrator_nb.definition.models import WorkflowDefinition
from orchestrator_nb.definition.names import RESERVED, addresses
from orchestrator_nb.definition.references import FIELDS, may_refer, references_in
from orchestrator_nb.errors import Mistake
from orchestrator_nb.plan.access import Access, Use
from orchestrator_nb.plan.edges import AFTER, NEXT, Link, Links, Strength
from orchestrator_nb.plan.graph import adjacency, cycles, feedback, reaches, shortest_cycle, topological
from orchestrator_nb.ports import Command

_SHOWN = 12
"""Longer cycles and lists of names are shortened in messages."""
_EXPLAINED = 20
"""For so many dropped edges the cycle is looked for that they would have closed."""


class Draft:
    """A plan in the making. Commands are numbered in the order of the definition, a matrix command having the numbers
    of its cells; `mistakes` carry these numbers."""

    def __init__(
        self,
        definition: WorkflowDefinition,
        *,
        expanded: Expanded,
        folder: Path,
        commands: Mapping[str, Command],
        parameters: Mapping[str, Any],
        settled: Collection[str],
    ) -> None:
        self.definition = definition
        self.folder = folder
        self.parameters = parameters
        self.commands = list(expanded.commands)
        self.ids = [command.id for command in self.commands]
        self.fan_ins: dict[int, dict[str, FanIn]] = {}
        self.links = Links()
        self.mistakes: list[tuple[int, Mistake]] = []
        self.notes: list[str] = []
        self.matching: dict[str, None] = {}  # notes about cells that follow cells
        self.lost: dict[int, list[str]] = {}  # of each command, the notes about results that it will not get
        self._number = {name: number for number, name in enumerate(self.ids)}
        self._expanded = expanded
        self._addresses = addresses(command.id for command in definition.commands)
        self._access = Access(self.commands, folder=folder, parameters={**defaults(definition), **parameters})
        done = {self._number[name] for name in settled if name in self._number}
        self.mistakes.extend((*self._access.mistakes, *self._access.missing(settled=done)))
        self._state()
        self._take(commands)

    def arrange(self) -> list[int]:
        """Settle all edges and return the order; short of some commands, with mistakes, when there are cycles."""
        stated = list(self.links.pairs(stated=True))
        order = topological(adjacency(len(self.ids), stated))
        if len(order) < len(self.ids):
            self._name_cycles(stated)
            return order
        if self.definition.pattern == "sequential":
            self._break_cycles()
            self._put_in_sequence()
        else:
            for writer, reader, reason in self._access.edges():
                self.links.add(writer, reader, Link(Strength.TOUCHED, (reason,)))
            self._break_cycles()
        self._order_writers()
        return order if len(self.links.pairs()) == len(stated) else topological(self._downstream())

    # ── what was written ────────────────────────────────────────────────────────────────────────────────────────

    def _state(self) -> None:
        """Take in what the user wrote: `after`, conditions and references."""
        numbers, cells, link_after = self._number, self._expanded.cells, self.links.add_after
        for number, command in enumerate(self.commands):
            if not cells:
                link_after([numbers[name] for name in command.after], number)
            else:
                for name in command.after:
                    self._link(name, number, AFTER)
            for looked_up in _looked_up(command.when) if command.when is not None else ():
                if looked_up.root not in RESERVED:
                    link = Link(Strength.STATED, (f"looks at {looked_up.text} for whether it runs",))
                    self._link(self._addresses[looked_up.root], number, link)
            for field in FIELDS if may_refer(command) else ():
                value = getattr(command, field)
                for reference in references_in(value) if value else ():
                    if reference.root not in RESERVED:
                        link = Link(Strength.STATED, (f"refers to {reference.text}",), needed=True)
                        self._link(self._addresses[reference.root], number, link)

    def _link(self, name: str, number: int, link: Link) -> None:
        """Let a command wait for another, or for the cells of another."""
        if name not in self._expanded.cells:
            self.links.add(self._number[name], number, link)
            return
        known = self.fan_ins.setdefault(number, {})
        if name not in known:
            known[name] = found = self._expanded.fan_in(self.commands[number], name)
            self.matching[found.note] = None
        for cell in known[name].cells.values():
            self.links.add(self._number[cell], number, link)

    # ── what is inferred ────────────────────────────────────────────────────────────────────────────────────────

    def _take(self, commands: Mapping[str, Command]) -> None:
        """Take in the arguments that are named like another command; a parameter of that name comes first."""
        known = {*self.definition.parameters, *self.parameters}
        folder = self.folder
        for number, command in enumerate(self.commands):
            kind = commands.get(command.kind)
            if kind is None:
                continue
            try:
                names = kind.wants(command, folder=folder)
            except Exception as error:  # noqa: BLE001 - a type may come from anywhere
                text = f'the type of command "{kind.name}" could not look at it: {type(error).__name__}: {error}'
                self.mistakes.append((number, Mistake(text)))
                continue
            if names and isinstance(command, CellDefinition):
                axes = {name: command.cell[name] for name in names if name in command.cell}
                names = tuple(name for name in names if name not in axes)
                if axes:
                    self.commands[number] = command.model_copy(update={"parameters": {**command.parameters, **axes}})
            for name in names:
                upstream = self._addresses.get(name) if name not in known else None
                if upstream is not None and upstream != command.base:
                    self._link(upstream, number, Link(Strength.TAKEN, (f'takes "{name}"',), needed=True))

    def _name_cycles(self, stated: Sequence[tuple[int, int]]) -> None:
        """Name every cycle of what the user wrote."""
        for cycle in cycles(adjacency(len(self.ids), stated)):
            text = f"these commands wait for each other: {self._ring(cycle)}"
            self.mistakes.append((cycle[0], Mistake(text, path="/after", expected="an order without a cycle")))

    def _break_cycles(self) -> None:
        """Drop the fewest inferred edges without which there is no cycle, and say so."""
        weights = self.links.weights()
        dropped = feedback(len(self.ids), self.links.pairs(stated=True), weights) if weights else []
        if not dropped:
            return
        lost = [(pair, self.links.drop(pair)) for pair in dropped]
        downstream = self._downstream()
        for explained, ((upstream, node), link) in enumerate(lost):
            ring = []
            if explained < _EXPLAINED:
                downstream[upstream].add(node)
                ring = shortest_cycle(downstream, upstream)
                downstream[upstream].discard(node)
            closing = (
                f", since that would close the cycle {self._ring(ring)}" if ring else ", since that closed a cycle"
            )
            reasons = " and ".join(link.reasons)
            note = f'"{self.ids[node]}" does not wait for "{self.ids[upstream]}", although it {reasons}{closing}'
            self.notes.append(note)
            if link.needed:
                self.lost.setdefault(node, []).append(note)

    def _put_in_sequence(self) -> None:
        """Let each command wait for the one before it: in the order of the definition, unless that cannot be."""
        order = topological(self._downstream())
        if order != sorted(order):
            shown = self._names(order)
            self.notes.append(f"the sequence is not that of the definition, since some come after later ones: {shown}")
        for before, after in pairwise(order):
            self.links.add(before, after, NEXT)
        place = {node: number for number, node in enumerate(order)}
        for writer, reader, reason in self._access.edges():
            names = f'"{self.ids[reader]}"', f'"{self.ids[writer]}"'
            if place[reader] < place[writer]:
                self.notes.append(f"{names[0]} {reason}, but it comes before {names[1]} in the sequence")
            else:
                self.links.add(writer, reader, Link(Strength.TOUCHED, (reason,)))

    def _order_writers(self) -> None:
        """Put the writers of one resource in order where they may be; two in no order are a mistake."""
        shared = list(self._access.rivals())
        if not shared:
            return
        downstream = self._downstream()
        place = [0] * len(self.ids)
        for position, node in enumerate(topological(downstream)):
            place[node] = position
        for uses in shared:
            loose: list[Use] = []
            row = sorted(uses, key=lambda use: place[use.command])
            for before, after in pairwise(row):
                pair = before.command, after.command
                if reaches(downstream, *pair, place=place):
                    continue
                if not any(self.commands[node].exclusive for node in pair):
                    loose.extend(use for use in (before, after) if use not in loose)
                    continue
                reason = f'writes "{after.text}", which "{self.ids[before.command]}" writes too'
                self.links.add(*pair, Link(Strength.TOUCHED, (reason,)))
                downstream[before.command].add(after.command)
                self.notes.append(
                    f'"{self.ids[after.command]}" waits for "{self.ids[before.command]}": '
                    f'both write "{after.text}", which is exclusive'
                )
            if loose:
                self._refuse_writers(sorted(loose))

    def _refuse_writers(self, uses: Sequence[Use]) -> None:
        names = self._names([use.command for use in uses])
        last = uses[-1]
        texts = " and ".join(dict.fromkeys(f'"{use.text}"' for use in uses[:_SHOWN]))
        text = f"{names} write {texts}, and nothing says in which order"
        remedy = "an `after` between them, or `exclusive: true` to run them one after the other"
        self.mistakes.append((last.command, Mistake(text, path=f"/writes/{last.item}", expected=remedy)))

    def _downstream(self) -> list[set[int]]:
        return adjacency(len(self.ids), self.links.pairs())

    def _ring(self, cycle: Sequence[int]) -> str:
        """Return a cycle in words: each comes before the next, and the last before the first."""
        names = [self.ids[node] for node in (*cycle, cycle[0])]
        if len(names) > _SHOWN:
            left_out = len(names) - _SHOWN
            names = [*names[: _SHOWN // 2], f"({left_out:,} more)", *names[-(_SHOWN // 2) :]]
        return " → ".join(names)

    def _names(self, nodes: Sequence[int]) -> str:
        names = [f'"{self.ids[node]}"' for node in nodes[:_SHOWN]]
        if len(nodes) > _SHOWN:
            return f"{', '.join(names)} and {len(nodes) - _SHOWN:,} more"
        return f"{', '.join(names[:-1])} and {names[-1]}" if len(names) > 1 else "".join(names)


def defaults(definition: WorkflowDefinition) -> dict[str, Any]:
    """Return the defaults of a workflow's parameters."""
    return {name: parameter.default for name, parameter in definition.parameters.items()}


def _looked_up(condition: str) -> Sequence[Any]:
    """Return what a condition looks up; expressions are not read for nothing."""
    from orchestrator_nb.definition.expressions import Expression

    return Expression.parse(condition).names
