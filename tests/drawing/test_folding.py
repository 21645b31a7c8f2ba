"""What is alike is drawn as one, and the smaller graph is still the graph."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from orchestrator_nb.drawing.folding import TIMES, fold_graph


@st.composite
def graphs(draw: st.DrawFn) -> tuple[dict[str, list[str]], dict[str, str]]:
    """Graphs of commands, some of them cells of matrices."""
    size = draw(st.integers(1, 30))
    graph = {
        f"c{number}": [f"c{earlier}" for earlier in range(number) if draw(st.integers(0, 5)) == 0]
        for number in range(size)
    }
    return graph, {name: draw(st.sampled_from(["", "", "m", "n"])) for name in graph}


@given(graphs(), st.integers(1, 4))
def test_nobody_is_lost_and_the_order_holds(drawn: tuple[dict[str, list[str]], dict[str, str]], most: int) -> None:
    """Every command is in one box, every edge between boxes is kept, and each box comes after all that it waits for."""
    graph, matrices = drawn
    folded = fold_graph(graph, matrices, most=most)
    box_of = {name: box for box, names in folded.members.items() for name in names}
    assert sum(map(len, folded.members.values())) == len(box_of)
    assert {box_of.get(name, name) for name in graph} == set(folded.upstream)
    edges = {
        (box_of.get(before, before), box_of.get(name, name))
        for name, all_before in graph.items()
        for before in all_before
    }
    assert {(one, two) for one, two in edges if one != two} == {
        (before, name) for name, all_before in folded.upstream.items() for before in all_before
    }
    seen: set[str] = set()
    for name, before in folded.upstream.items():
        assert seen.issuperset(before)
        seen.add(name)


def test_siblings_and_cells_become_one_box_with_a_name() -> None:
    """A box is called as its commands begin, or as the matrix, and says how many they are."""
    graph = {"split": [], **{f"part_{n}": ["split"] for n in range(9)}, "join": [f"part_{n}" for n in range(9)]}
    folded = fold_graph(graph)
    assert folded.upstream == {"split": [], f"part {TIMES}9": ["split"], "join": [f"part {TIMES}9"]}
    cells = {f"train.{n}": [] for n in range(20)}
    assert list(fold_graph(cells, dict.fromkeys(cells, "train")).upstream) == [f"train {TIMES}20"]


def test_few_stay_themselves_and_cycles_are_not_made() -> None:
    """Eight are few; two matrices whose cells wait for each other's are not folded into a circle."""
    few = {f"a{n}": [] for n in range(8)}
    assert fold_graph(few).members == {}
    graph: dict[str, list[str]] = {"m0": [], "n0": ["m0"], "m1": ["n0"], "n1": ["m1"]}
    matrices = {name: name[0] for name in graph}
    assert list(fold_graph(graph, matrices, most=1).upstream) == ["m0", "n0", "m1", "n1"]
