"""Pictures of graphs: every command and edge is there, nothing lies on top of anything."""

from __future__ import annotations

from itertools import pairwise
from xml.etree import ElementTree

from hypothesis import given
from hypothesis import strategies as st

from orchestrator_nb.drawing.graph import MOST, MOST_SQUARES, Box, graph_svg
from orchestrator_nb.drawing.layers import lay_out

SVG = "{http://www.w3.org/2000/svg}"


@st.composite
def graphs(draw: st.DrawFn) -> dict[str, list[str]]:
    """Graphs of up to twenty commands, each after some of those before it."""
    return {
        f"c{number}": [f"c{earlier}" for earlier in range(number) if draw(st.integers(0, 4)) == 0]
        for number in range(draw(st.integers(1, 20)))
    }


@given(graphs())
def test_boxes_and_passing_edges_keep_their_distance(graph: dict[str, list[str]]) -> None:
    """In a column no two come nearer than a row, and edges lead from left to right."""
    layout = lay_out(graph)
    rows: dict[int, list[float]] = {}
    for name, (column, row) in layout.rows.items():
        rows.setdefault(column, []).append(row)
        assert row >= -1e-9
        assert all(layout.rows[before][0] < column for before in graph[name])
    for (before, after), way in layout.ways.items():
        first, last = layout.rows[before][0], layout.rows[after][0]
        assert len(way) == last - first - 1
        for column, row in enumerate(way, start=first + 1):
            rows.setdefault(column, []).append(row)
    for column in rows.values():
        ordered = sorted(column)
        assert all(two - one >= 1 - 1e-6 for one, two in pairwise(ordered))


@given(graphs())
def test_a_picture_has_each_command_and_each_edge_once(graph: dict[str, list[str]]) -> None:
    """And it is well-formed, whatever the names."""
    boxes = {name: Box(label=f"<{name}> & more", note="1 s") for name in graph}
    picture = ElementTree.fromstring(graph_svg(graph, boxes=boxes, title="<a & b>"))
    labels = [text.text for text in picture.iter(f"{SVG}text") if text.get("class") is None]
    assert sorted(labels) == sorted(box.label for box in boxes.values())
    edges = [path for path in picture.iter(f"{SVG}path") if "edge" in path.get("class", "").split()]
    assert len(edges) == sum(map(len, graph.values()))


def test_the_critical_path_and_inferred_edges_are_marked() -> None:
    """What matters is seen at once, and why an edge is there is shown on hovering."""
    graph = {"a": [], "b": ["a"], "c": ["a"], "d": ["b", "c"]}
    boxes = {name: Box(label=name) for name in graph}
    picture = ElementTree.fromstring(
        graph_svg(graph, boxes=boxes, critical=["a", "b", "d"], inferred={("a", "c")}, reasons={("a", "c"): "reads x"})
    )
    told = {
        path.findtext(f"{SVG}title"): path.get("class")
        for path in picture.iter(f"{SVG}path")
        if path.find(f"{SVG}title") is not None
    }
    (heads,) = [path.get("d") for path in picture.iter(f"{SVG}path") if path.get("class") == "heads"]
    assert heads.count("z") == 3  # one at each box that an edge leads to
    assert told == {
        "b after a": "edge critical",
        "c after a: reads x": "edge inferred",
        "d after b": "edge critical",
        "d after c": "edge",
    }


def test_a_graph_of_hundreds_is_a_field_of_squares() -> None:
    """Each command is there by name and state, in the block of its level, and none lies on another."""
    names = [f"c{number}" for number in range(MOST + 1)]
    upstream = {name: [names[0]] if name != names[0] else [] for name in names}
    boxes = {name: Box(label=name, title=f"{name}: failed", state="failed") for name in names}
    picture = ElementTree.fromstring(graph_svg(upstream, boxes=boxes, title="big"))
    nodes = [node for node in picture.iter(f"{SVG}g") if node.get("data-node")]
    assert [node.get("data-node") for node in nodes] == names
    assert nodes[1].get("aria-label") == "c1: failed"
    squares = [node.find(f"{SVG}rect") for node in nodes]
    places = {(float(square.get("x")), float(square.get("y"))) for square in squares}
    assert len(places) == len(names)
    assert min(x for x, _ in places) == float(squares[0].get("x")) < min(float(s.get("x")) for s in squares[1:])
    assert max(x for x, _ in places) < float(picture.get("width"))
    assert max(y for _, y in places) < float(picture.get("height"))


def test_a_graph_too_large_to_be_seen_is_said_in_words() -> None:
    """Many thousands would show nothing and stop the browser."""
    names = [f"c{number}" for number in range(MOST_SQUARES + 1)]
    picture = graph_svg({name: [] for name in names}, boxes={name: Box(label=name) for name in names}, title="big")
    assert f"big: {MOST_SQUARES + 1:,} commands, more than a picture can show" in picture
    assert len(picture) < 4000
