"""The ids of commands that were given none, and the commands that a dependency on an agent stands for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from orchestrator_nb.definition.names import RESERVED, nearest, numbered, slug
from orchestrator_nb.definition.pointers import child
from orchestrator_nb.definition.spelled import Spelled
from orchestrator_nb.definition.values import described, escaped
from orchestrator_nb.errors import Mistake


def give_ids(bodies: list[dict[str, Any]]) -> set[str]:
    """Give an id to each command without one, and return those that come from the name of an agent."""
    taken = {body["id"] for body in bodies if isinstance(body.get("id"), str)} | set(RESERVED)
    last: dict[str, int] = {}
    from_agents = set()
    for body in bodies:
        if "id" not in body:
            body["id"] = numbered(slug(_title(body)), taken, last=last)
            taken.add(body["id"])
            if isinstance(body.get("agent"), str):
                from_agents.add(body["id"])
    return from_agents


def _title(body: Mapping[str, Any]) -> str:
    """Return what a command without an id is called after: its agent, else what it runs."""
    shell = body.get("shell")
    call = body.get("call")
    names = (
        body.get("agent"), body.get("command"), body.get("notebook"), body.get("workflow"),
        call.rpartition(":")[2].rpartition(".")[2] if isinstance(call, str) else None,
        shell[0] if isinstance(shell, tuple) and shell else None, body.get("type"),
    )  # fmt: skip
    return next((name for name in names if isinstance(name, str) and name), "command")


def add_edges(edges: Any, bodies: list[dict[str, Any]], spelled: Spelled) -> None:
    """Add the dependencies that the workflow lists by command to those commands."""
    origin = spelled.origin("/dependencies")
    if not isinstance(edges, Mapping):
        spelled.mistakes.append(Mistake("the dependencies cannot be read", origin, found=described(edges),
                                        expected='a mapping of ids to lists of ids, such as {"model": ["clean"]}'))  # fmt: skip
        return
    places: dict[str, list[int]] = {}
    for place, body in enumerate(bodies):
        for name in {body["id"], body.get("agent")}:
            if isinstance(name, str):
                places.setdefault(name, []).append(place)
    for name, before in edges.items():
        at = child(origin, str(name))
        if name not in places:
            spelled.mistakes.append(Mistake(f"there is no command {escaped(str(name))}", at,
                                            nearest=nearest(str(name), places)))  # fmt: skip
            continue
        names = (before,) if isinstance(before, str) else before
        if not isinstance(names, (list, tuple)):
            spelled.mistakes.append(Mistake("the dependencies cannot be read", at, found=described(names),
                                            expected="a list of ids"))  # fmt: skip
            continue
        for place in places[name]:
            body, there = bodies[place], bodies[place].get("after", ())
            if isinstance(there, tuple):
                added = [(number, other) for number, other in enumerate(names) if other not in there]
                for position, (number, _) in enumerate(added, start=len(there)):
                    spelled.origins[f"/commands/{place}/after/{position}"] = child(at, number)
                body["after"] = (*there, *(other for _, other in added))


def expand_agents(bodies: list[dict[str, Any]], from_agents: set[str], spelled: Spelled) -> None:
    """Put the commands of an agent in the place of its name, unless a command was given that name as its id."""
    agents: dict[str, list[str]] = {}
    ids = set()
    for body in bodies:
        if isinstance(body["id"], str):
            ids.add(body["id"])
            if isinstance(body.get("agent"), str):
                agents.setdefault(body["agent"], []).append(body["id"])
    standing = {name: ids_ for name, ids_ in agents.items() if name not in ids or name in from_agents}
    for place, body in enumerate(bodies if standing else ()):
        after = body.get("after")
        if isinstance(after, tuple) and any(isinstance(name, str) and name in standing for name in after):
            _expand(body, f"/commands/{place}", standing, spelled)


def _expand(body: dict[str, Any], pointer: str, standing: Mapping[str, list[str]], spelled: Spelled) -> None:
    expanded: list[Any] = []
    origins = [spelled.origin(f"{pointer}/after/{number}") for number in range(len(body["after"]))]
    for name, origin in zip(body["after"], origins, strict=True):
        others = [other for other in standing.get(name, ()) if other != body["id"]] if isinstance(name, str) else []
        for one in others or [name]:
            if not others or one not in expanded:
                spelled.origins[f"{pointer}/after/{len(expanded)}"] = origin
                expanded.append(one)
    body["after"] = tuple(expanded)
