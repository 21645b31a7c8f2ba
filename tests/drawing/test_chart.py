"""Charts as SVG: the marks of each kind of trace where they have to be, and well-formed whatever the names are."""

from __future__ import annotations

from xml.etree import ElementTree

from orchestrator_nb.drawing.chart import chart_svg

SVG = "{http://www.w3.org/2000/svg}"


def marks(data, kind, layout=None, height=300.0):
    drawn = ElementTree.fromstring(chart_svg(data, layout or {}, title="a <title>", height=height))
    assert drawn.get("aria-label") == "a <title>"
    return [
        item for item in drawn.iter(SVG + kind) if item.get("rx") != "2" and item.get("class") != "grid"
    ]  # without the legend


def test_points_lie_where_their_values_are():
    """A larger value is further to the right and further up; a line joins them in order."""
    trace = {
        "type": "scatter",
        "mode": "lines+markers",
        "x": [1, 2, 4],
        "y": [10, 30, 20],
        "marker": {"color": "#123456"},
    }
    dots = marks([trace], "circle")
    across, down = [float(dot.get("cx")) for dot in dots], [float(dot.get("cy")) for dot in dots]
    assert across == sorted(across)
    assert round((across[2] - across[1]) / (across[1] - across[0]), 1) == 2.0
    assert down[1] < down[2] < down[0]
    assert {dot.get("fill") for dot in dots} == {"#123456"}
    (line,) = marks([trace], "polyline")
    assert line.get("points").split()[0] == f"{across[0]:.1f},{down[0]:.1f}"


def test_bars_are_stacked_or_begin_where_they_say():
    """Histograms count or sum by name and stand one after the other; a bar with a base begins there."""
    counted = {"type": "histogram", "orientation": "h", "y": ["a", "b", "a"], "name": "one"}
    summed = {"type": "histogram", "histfunc": "sum", "orientation": "h", "y": ["a"], "x": [2.0], "name": "two"}
    bars = marks([counted, summed], "rect")
    wide = [float(bar.get("width")) for bar in bars]
    assert round(wide[0] / wide[1], 1) == 2.0  # a twice, b once
    assert abs(float(bars[0].get("x")) + wide[0] - float(bars[2].get("x"))) < 0.2
    late = {"type": "bar", "orientation": "h", "base": [3.0, 0.0], "x": [1.0, 1.0], "y": ["a", "b"]}
    first, second = marks([late], "rect")
    assert float(first.get("x")) > float(second.get("x"))


def test_boxes_show_the_quarters():
    """The box holds the middle half, the line in it is the median."""
    box = {"type": "box", "orientation": "h", "x": [0.0, 1.0, 2.0, 3.0, 4.0], "y": ["a"] * 5, "name": "a"}
    (middle,) = marks([box], "rect")
    whisker, median = (item for item in marks([box], "line"))
    left, wide = float(middle.get("x")), float(middle.get("width"))
    assert abs((float(whisker.get("x2")) - float(whisker.get("x1"))) / wide - 2.0) < 0.02
    assert abs(float(median.get("x1")) - (left + wide / 2)) < 0.2


def test_what_is_missing_leaves_a_gap_and_nothing_at_all_no_chart():
    """A line is broken where there is no value; without any value there is nothing."""
    gap = {"type": "scatter", "mode": "lines", "x": [1, 2, None, 3, 4], "y": [1, 2, None, 1, float("nan")]}
    assert len(marks([gap], "polyline")) == 1
    assert chart_svg([], {}, title="none") == ""
    assert chart_svg([{"type": "scatter", "x": [], "y": []}], {}, title="none") == ""


def test_many_points_are_thinned_and_names_are_escaped():
    """A page stays small; what a command is called cannot write into it."""
    many = {"type": "scatter", "mode": "markers", "x": list(range(9_000)), "y": list(range(9_000))}
    assert len(marks([many], "circle")) <= 1_800
    odd = {"type": "bar", "orientation": "h", "x": [1], "y": ["<script>"], "name": "<b>"}
    assert "<script>" not in chart_svg([odd, {**odd, "name": "other"}], {}, title="x")
