"""The edges of a plan: which command waits for which, and for which reasons."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from enum import IntEnum

from msgspec import Struct

from orchestrator_nb.plan.graph import Pair


class Edge(Struct, frozen=True, kw_only=True):
    """`downstream` starts only after `upstream`; `inferred` when nobody wrote so, `reasons` in words."""

    upstream: str
    downstream: str
    reasons: tuple[str, ...]
    inferred: bool


class Strength(IntEnum):
    """How firm an edge is: an edge is as firm as its firmest reason, and the least firm go first in a cycle."""

    TOUCHED = 1  # inferred from what is read and written, or from the order of the definition
    TAKEN = 2  # inferred from an argument that is named like a command
    STATED = 3  # written by the user: never dropped


class Link(Struct, frozen=True):
    """An edge in the making; `needed` when the result of the upstream command is asked for."""

    strength: Strength
    reasons: tuple[str, ...]
    needed: bool = False


AFTER = Link(Strength.STATED, ("after",))
"""The edge of a name in `after`."""
NEXT = Link(Strength.TOUCHED, ("is next in the sequence",))
"""The edge from each command to the next in a sequence."""
THROUGH = Link(Strength.TOUCHED, ("comes after it by way of what is left out",))
"""The edge between commands of a part where others were between them."""


class Links:
    """Edges between numbered commands, several reasons for one edge put together."""

    def __init__(self) -> None:
        self._links: dict[Pair, Link] = {}

    def add(self, upstream: int, downstream: int, link: Link) -> None:
        """Take in an edge; one that is there already gets the reasons too."""
        known = self._links.setdefault((upstream, downstream), link)
        if known is not link:
            self._links[upstream, downstream] = Link(
                max(known.strength, link.strength),
                tuple(dict.fromkeys((*known.reasons, *link.reasons))),
                known.needed or link.needed,
            )

    def add_after(self, upstreams: Iterable[int], downstream: int) -> None:
        """Take in the edges of the names in one `after`."""
        links = self._links
        for upstream in upstreams:
            if links.setdefault((upstream, downstream), AFTER) is not AFTER:
                self.add(upstream, downstream, AFTER)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Links) and self._links == other._links

    __hash__ = None  # type: ignore[assignment]  # edges are added

    def drop(self, pair: Pair) -> Link:
        """Take an edge away and return what it was."""
        return self._links.pop(pair)

    def pairs(self, *, stated: bool | None = None) -> Collection[Pair]:
        """Return all edges, or only those that were stated, or only the others."""
        if stated is None:
            return self._links.keys()
        firmest = Strength.STATED
        return [pair for pair, link in self._links.items() if (link.strength is firmest) == stated]

    def weights(self) -> dict[Pair, int]:
        """Return each edge that may be dropped, with how much it would be missed."""
        firmest = Strength.STATED
        return {pair: int(link.strength) for pair, link in self._links.items() if link.strength is not firmest}

    def get(self, pair: Pair) -> Link | None:
        """Return what is known of an edge, None where there is none."""
        return self._links.get(pair)

    def needed(self) -> set[Pair]:
        """Return the edges of which the result of the upstream command is asked for."""
        return {pair for pair, link in self._links.items() if link.needed}

    def edge(self, pair: Pair, ids: list[str]) -> Edge:
        """Return the finished edge."""
        link = self._links[pair]
        upstream, downstream = pair
        return Edge(
            upstream=ids[upstream],
            downstream=ids[downstream],
            reasons=link.reasons,
            inferred=link.strength != Strength.STATED,
        )
