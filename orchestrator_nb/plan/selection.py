"""Which part of a workflow runs: commands by name, by tag, by agent, with what comes before or after them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from fnmatch import fnmatchcase

from msgspec import Struct
from msgspec.structs import replace

from orchestrator_nb.definition.matrix import FanIn
from orchestrator_nb.definition.models import CommandDefinition
from orchestrator_nb.definition.names import addresses, nearest
from orchestrator_nb.errors import UsageError
from orchestrator_nb.plan.edges import THROUGH, Links
from orchestrator_nb.plan.plan import Plan

TAG = "tag:"
_SHOWN = 12
_WILD = frozenset("*?[")

Names = str | Iterable[str]
"""Selectors, also several in one text with commas between them."""


class Selection(Struct, frozen=True, kw_only=True):
    """What was asked for. Of several that are given only the commands run that each of them selects.

    A selector is the id of a command (that of a matrix means all its cells), a pattern of ids (``fit-*``), the name of an agent or ``tag:name``; with ``+``
    before it everything upstream belongs to it, with ``+`` behind it everything downstream. `start_from` selects these
    and all downstream, `until` these and all upstream, `failed` what did not succeed in the latest run and all
    downstream.
    """

    only: tuple[str, ...] = ()
    start_from: tuple[str, ...] = ()
    until: tuple[str, ...] = ()
    failed: bool = False

    @property
    def is_partial(self) -> bool:
        """Whether anything was asked for; else everything runs."""
        return bool(self.only or self.start_from or self.until or self.failed)


def read_selection(*, only: Names = (), start_from: Names = (), until: Names = (), failed: bool = False) -> Selection:
    """Return what was asked for. Raises UsageError for what is no text, or names nothing."""
    return Selection(
        only=_texts("only", only), start_from=_texts("start_from", start_from), until=_texts("until", until),
        failed=failed,
    )  # fmt: skip


def select(selection: Selection, plan: Plan, *, failed: Collection[str] = ()) -> tuple[str, ...]:
    """Return the ids of the commands that are selected, in the order of the plan.

    `failed` are those that did not succeed in the latest run. Raises UsageError naming everything that is not known,
    and where nothing is selected.
    """
    unknown: list[str] = []
    chosen = set(plan.order)
    if selection.only:
        chosen &= _union(selection.only, plan, unknown)
    if selection.start_from:
        chosen &= closure(_union(selection.start_from, plan, unknown), plan.downstream)
    if selection.until:
        chosen &= closure(_union(selection.until, plan, unknown), plan.upstream)
    if selection.failed:
        chosen &= closure(failed, plan.downstream)
    if unknown:
        raise UsageError("\n".join(unknown))
    if not chosen:
        raise UsageError(f"no command is selected by {_said(selection)}; there are {_listed(plan.order)}")
    return tuple(name for name in plan.order if name in chosen)


def closure(names: Iterable[str], neighbours: Mapping[str, Sequence[str]]) -> set[str]:
    """Return the names and everything that can be reached from them."""
    found = set(names)
    waiting = list(found)
    while waiting:
        for name in neighbours.get(waiting.pop(), ()):
            if name not in found:
                found.add(name)
                waiting.append(name)
    return found


def narrowed(plan: Plan, selected: Collection[str], *, given: Collection[str] = ()) -> Plan:
    """Return the plan of a part: the selected commands, and those whose result is `given`, which come after one another
    only.

    Where a selected command comes after another one by way of commands that are left out, it still does.
    """
    selected, given = set(selected), set(given)
    kept = {*selected, *given}
    place = {name: number for number, name in enumerate(plan.order)}

    def before(name: str) -> set[str]:
        return _before(name, plan, kept, selected) if name in selected else _before(name, plan, given, given)

    upstream = {name: tuple(sorted(before(name), key=place.__getitem__)) for name in plan.commands if name in kept}
    downstream: dict[str, list[str]] = {name: [] for name in upstream}
    for name, others in upstream.items():
        for other in others:
            downstream[other].append(name)
    return replace(
        plan,
        commands={name: command for name, command in plan.commands.items() if name in kept},
        order=tuple(name for name in plan.order if name in kept),
        links=_links(plan, upstream),
        upstream=upstream,
        downstream={name: tuple(after) for name, after in downstream.items()},
        inputs={name: tuple(other for other in plan.inputs[name] if other in upstream[name]) for name in upstream},
        fan_ins={name: _fan_ins(found, upstream[name]) for name, found in plan.fan_ins.items() if name in kept},
    )


def _fan_ins(fan_ins: Mapping[str, FanIn], upstream: Collection[str]) -> dict[str, FanIn]:
    """Return the gatherings of a command with the cells that it still comes after; a matrix is left out as a whole."""
    found: dict[str, FanIn] = {}
    for base, fan_in in fan_ins.items():
        cells = {key: cell for key, cell in fan_in.cells.items() if cell in upstream}
        if cells or not fan_in.cells:
            found[base] = replace(fan_in, cells=cells)
    return found


def _before(name: str, plan: Plan, kept: Collection[str], selected: Collection[str]) -> set[str]:
    """Return the upstream commands of a part: its own, and those `selected` that are reached through all others."""
    found = {other for other in plan.upstream[name] if other in kept}
    seen, waiting = {name}, [other for other in plan.upstream[name] if other not in selected]
    while waiting:
        for other in plan.upstream[waiting.pop()]:
            if other in selected:
                found.add(other)
            elif other not in seen:
                seen.add(other)
                waiting.append(other)
    return found


def _links(plan: Plan, upstream: Mapping[str, Sequence[str]]) -> Links:
    """Return the edges of a part, with their reasons in the whole."""
    links = Links()
    number = {name: place for place, name in enumerate(upstream)}
    known = {name: place for place, name in enumerate(plan.commands)}
    for name, before in upstream.items():
        for other in before:
            link = plan.links.get((known[other], known[name])) or THROUGH
            links.add(number[other], number[name], link)
    return links


def _union(selectors: Iterable[str], plan: Plan, unknown: list[str]) -> set[str]:
    found: set[str] = set()
    for text in selectors:
        name = text.strip("+")
        names = _named(name, plan)
        if not names:
            unknown.append(_not_there(text, name, plan))
        if text.startswith("+"):
            names = names | closure(names, plan.upstream)
        if text.endswith("+"):
            # What comes after the named ones, not after what comes before them.
            names = names | closure(_named(name, plan), plan.downstream)
        found |= names
    return found


def _named(name: str, plan: Plan) -> set[str]:
    commands = plan.commands
    if name.startswith(TAG):
        return {item.id for item in commands.values() if name.removeprefix(TAG) in item.tags}
    if name in commands:
        return {name}
    written = _written(plan)
    if name in written:
        return written[name]
    if _WILD.intersection(name):
        return {known for known in commands if fnmatchcase(known, name)}
    by_agent = {item.id for item in commands.values() if item.agent == name}
    known_as = addresses([*written, *commands]).get(name, name)
    return by_agent or written.get(known_as) or {known_as} & commands.keys()


def _written(plan: Plan) -> dict[str, set[str]]:
    """Return the commands by the id under which they were written: one, or all cells of a matrix."""
    found: dict[str, set[str]] = {}
    for name, command in plan.commands.items():
        found.setdefault(command.base, set()).add(name)
    return found


def _not_there(text: str, name: str, plan: Plan) -> str:
    if name.startswith(TAG):
        tags = sorted({tag for item in plan.commands.values() for tag in item.tags})
        likely = nearest(name.removeprefix(TAG), tags)
        meant = f'; did you mean "{TAG}{likely}"?' if likely else f"; the tags are {_listed(tags)}"
        return f'"{text}" selects nothing: no command has the tag "{name.removeprefix(TAG)}"{meant}'
    if _WILD.intersection(name):
        return f'"{text}" selects nothing: no id fits that pattern; there are {_listed(plan.order)}'
    likely = nearest(name, [*plan.commands, *_written(plan), *_agents(plan.commands.values())])
    meant = f'; did you mean "{likely}"?' if likely else f"; there are {_listed(plan.order)}"
    return f'"{text}" selects nothing: there is no command or agent "{name}"{meant}'


def _agents(commands: Iterable[CommandDefinition]) -> set[str]:
    return {command.agent for command in commands if command.agent is not None}


def _texts(option: str, given: Names) -> tuple[str, ...]:
    if isinstance(given, str):
        items = [given] if given.strip() else []  # a field that nobody has filled in
    else:
        items = list(given)
    for item in items:
        if not isinstance(item, str):
            raise UsageError(f"{option} takes names of commands as text; found {item!r}")
        if not item.strip("+, "):  # an empty variable of a shell, say: that is not to run everything
            word = option.removeprefix("start_")
            raise UsageError(
                f'--{word} ({option}=) names no command: found "{item}"; leave it out to select everything'
            )
    return tuple(part.strip() for item in items for part in item.split(",") if part.strip("+ "))


def _said(selection: Selection) -> str:
    said = [
        f"{word} {', '.join(names)}"
        for word, names in (
            ("only", selection.only),
            ("from", selection.start_from),
            ("until", selection.until),
            ("failed", ("in the latest run",) if selection.failed else ()),
        )
        if names
    ]
    return " and ".join(said)


def _listed(names: Collection[str]) -> str:
    shown = ", ".join(f'"{name}"' for name in list(names)[:_SHOWN])
    return (f"{shown} and {len(names) - _SHOWN} more" if len(names) > _SHOWN else shown) or "none"
