"""Figures of one run: its timeline, its graph with durations, what its commands took."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import pairwise
from typing import Any

from orchestrator_nb.analytics.figures.figure import (
    BLUE,
    GREEN,
    GREY,
    GRID,
    INK,
    ORANGE,
    RED,
    SKY,
    Figure,
    Trace,
    axis,
    counted,
    empty,
    length,
    listed,
)
from orchestrator_nb.drawing.layers import lay_out
from orchestrator_nb.state.timing import Span, Timing

MOST_ROWS = 60
"""Commands of a timeline; more are not told apart."""

_OUTCOMES = {
    "returned": ("ran", BLUE),
    "reused": ("reused", GREEN),
    "running": ("running", SKY),
    "failed": ("failed", RED),
    "crashed": ("crashed", RED),
    "abandoned": ("abandoned", ORANGE),
    "interrupted": ("interrupted", ORANGE),
}


def timeline(timing: Timing) -> Figure:
    """Return when each attempt of a run waited, started its kernel and ran; the critical path is outlined."""
    name, title = "timeline", "Timeline"
    if not timing.spans:
        return empty(name, title, f"Nothing has run in {timing.run}.")
    rows = list(dict.fromkeys(span.command for span in sorted(timing.spans, key=lambda span: span.started)))
    left_out = len(rows) - MOST_ROWS
    if left_out > 0:
        longest = sorted(rows, key=lambda row: -sum(span.seconds for span in timing.spans if span.command == row))
        kept = set(longest[:MOST_ROWS])
        rows = [row for row in rows if row in kept]
    spans = [span for span in timing.spans if span.command in set(rows)]
    path = timing.critical_path()
    critical = {(step.span.command, step.span.attempt) for step in path}
    data = [trace for trace in (_waits(spans, timing), *_kinds(spans, timing, critical)) if trace["x"]]
    data.append(
        {
            "type": "scatter", "x": [None], "y": [None], "mode": "markers", "name": "critical path",
            "marker": {"symbol": "square-open", "size": 11, "color": ORANGE, "line": {"width": 3}},
        }
    )  # fmt: skip
    layout = {
        "barmode": "overlay",
        "xaxis": axis("seconds since the run began"),
        "yaxis": {"categoryorder": "array", "categoryarray": rows[::-1], "type": "category", "showgrid": False},
    }
    told = _timeline_text(timing, [step.span for step in path])
    if left_out > 0:
        told += f" The {counted(MOST_ROWS, 'command')} that took longest are shown, {left_out} are not."
    height = 110 + 26 * len(rows)
    return Figure(name=name, title=title, text=told, data=data, layout=layout, height=max(height, 220))


def _timeline_text(timing: Timing, path: list[Span]) -> str:
    used = f", {timing.efficiency:.0%} of the time of its {counted(timing.slots, 'slot')}" if timing.seconds else ""
    names = [f"{span.command} (attempt {span.attempt})" if span.attempt > 1 else span.command for span in path]
    return (
        f"{timing.run} took {length(timing.seconds)}: {counted(len(timing.spans), 'attempt')} of "
        f"{counted(len({span.command for span in timing.spans}), 'command')} ran for {length(timing.busy)} together{used}. "
        f"The end was decided by {' → '.join(names) if len(names) < 9 else listed(names)}, "
        f"{length(sum(span.seconds for span in path))} of it."
    )


def _waits(spans: Iterable[Span], timing: Timing) -> Trace:
    waiting = [span for span in spans if span.waited > 0]
    return {
        "type": "bar", "orientation": "h", "name": "waited", "width": 0.34,
        "base": [span.ready - timing.started for span in waiting],
        "x": [span.waited for span in waiting],
        "y": [span.command for span in waiting],
        "marker": {"color": "rgba(138,143,152,0.35)"},
        "hovertext": [f"<b>{span.command}</b> waited {length(span.waited)}" for span in waiting],
        "hoverinfo": "text",
    }  # fmt: skip


def _kinds(spans: list[Span], timing: Timing, critical: set[tuple[str, int]]) -> Iterable[Trace]:
    for outcome, (label, colour) in _OUTCOMES.items():
        of = [span for span in spans if span.outcome == outcome]
        yield {
            "type": "bar", "orientation": "h", "name": label, "width": 0.62,
            "base": [span.started - timing.started for span in of],
            "x": [max(span.seconds, timing.seconds * 0.002) for span in of],
            "y": [span.command for span in of],
            "marker": {
                "color": colour,
                "line": {
                    "color": ORANGE, "width": [3 if (span.command, span.attempt) in critical else 0 for span in of],
                },
            },
            "hovertext": [_hover(span) for span in of],
            "hoverinfo": "text",
        }  # fmt: skip
    kernels = [span for span in spans if span.kernel > 0]
    yield {
        "type": "bar", "orientation": "h", "name": "kernel started", "width": 0.18,
        "base": [span.started - timing.started for span in kernels],
        "x": [span.kernel for span in kernels],
        "y": [span.command for span in kernels],
        "marker": {"color": "#F0E442", "line": {"width": 0}},
        "hovertext": [f"<b>{span.command}</b>: kernel started in {length(span.kernel)}" for span in kernels],
        "hoverinfo": "text",
    }  # fmt: skip


def _hover(span: Span) -> str:
    parts = [f"<b>{span.command}</b>, attempt {span.attempt}: {span.outcome} after {length(span.seconds)}"]
    if span.waited:
        parts.append(f"waited {length(span.waited)}")
    if span.used is not None and span.used.cpu is not None:
        parts.append(f"{length(span.used.cpu)} of processor time")
    if span.used is not None and span.used.memory is not None:
        parts.append(f"{span.used.memory / 1e6:,.0f} MB")
    if span.failure:
        parts.append(span.failure[:120])
    return "<br>".join(parts)


def graph(timing: Timing) -> Figure:
    """Return the graph of a run: each command sized and coloured by its time, the critical path marked."""
    name, title = "graph", "Graph with durations"
    upstream = {
        command: [item for item in before if item in timing.upstream] for command, before in timing.upstream.items()
    }
    if not upstream or len(upstream) > 300:
        why = (
            "there are no commands" if not upstream else f"{len(upstream):,} commands are more than a picture can show"
        )
        return empty(name, title, f"{timing.run}: {why}.")
    seconds = dict.fromkeys(upstream, 0.0)
    for span in timing.spans:
        seconds[span.command] = seconds.get(span.command, 0.0) + span.seconds
    places = lay_out(upstream).rows
    path = list(dict.fromkeys(step.span.command for step in timing.critical_path()))
    marked = set(pairwise(path))
    edges = [(before, command) for command, items in upstream.items() for before in items]
    data: list[Trace] = [
        _lines([edge for edge in edges if edge not in marked], places, GREY, 1, "comes before"),
        _lines([edge for edge in edges if edge in marked], places, ORANGE, 3, "critical path"),
    ]
    data = [trace for trace in data if trace["x"]]
    most = max(seconds.values()) or 1.0
    names = list(upstream)
    data.append(
        {
            "type": "scatter", "mode": "markers+text", "showlegend": False,
            "x": [places[command][0] for command in names],
            "y": [places[command][1] for command in names],
            "text": [command if len(command) <= 22 else f"{command[:13]}…{command[-8:]}" for command in names],
            "textposition": [_label_place(command, edges, places) for command in names],
            "hovertext": [f"<b>{command}</b>: {length(seconds[command])} in all its attempts" for command in names],
            "hoverinfo": "text",
            "marker": {
                "size": [14 + 30 * (seconds[command] / most) ** 0.5 for command in names],
                "color": [seconds[command] for command in names],
                "opacity": 1, "colorscale": "Cividis", "cmin": 0, "cmax": most,
                "colorbar": {"title": {"text": "seconds"}, "thickness": 12, "outlinewidth": 0},
                "line": {"color": [ORANGE if command in path else INK for command in names], "width": 2},
            },
        }
    )  # fmt: skip
    rows = [row for _, row in places.values()]
    hidden = {"visible": False}
    layout = {
        "xaxis": hidden,
        "yaxis": {**hidden, "autorange": "reversed"},
        "margin": {"l": 40, "r": 40, "t": 44, "b": 30},
    }
    longest = max(names, key=lambda command: seconds[command])
    told = (
        f"{counted(len(names), 'command')} and {counted(len(edges), 'dependency').replace('dependencys', 'dependencies')} "
        f"of {timing.run}; {longest} took longest, {length(seconds[longest])}."
    )
    height = 150 + 74 * round(max(rows, default=0) + 1)
    return Figure(name=name, title=title, text=told, data=data, layout=layout, height=min(900, max(260, height)))


def _label_place(command: str, edges: list[tuple[str, str]], places: Mapping[str, tuple[int, float]]) -> str:
    """Return on which side of a command its name is crossed by fewer edges; below, where that is all the same."""
    own = places[command][1]
    other = [places[after if before == command else before][1] for before, after in edges if command in (before, after)]
    crossed = sum(row > own for row in other) > sum(row < own for row in other)
    return "top center" if crossed else "bottom center"


def _lines(
    edges: list[tuple[str, str]], places: Mapping[str, tuple[int, float]], colour: str, width: int, label: str
) -> Trace:
    x: list[float | None] = []
    y: list[float | None] = []
    for before, after in edges:
        x += [places[before][0], places[after][0], None]
        y += [places[before][1], places[after][1], None]
    line = {"color": colour, "width": width}
    return {"type": "scatter", "mode": "lines", "x": x, "y": y, "line": line, "name": label, "hoverinfo": "skip"}


def resources(timing: Timing) -> Figure:
    """Return what the commands of a run took: processor time, beside the most memory."""
    name, title = "resources", "Processor time and memory"
    cpu: dict[str, float] = {}
    memory: dict[str, int] = {}
    for span in timing.spans:
        if span.used is not None and span.used.cpu is not None:
            cpu[span.command] = cpu.get(span.command, 0.0) + span.used.cpu
        if span.used is not None and span.used.memory is not None:
            memory[span.command] = max(memory.get(span.command, 0), span.used.memory)
    rows = sorted({*cpu, *memory}, key=lambda command: (cpu.get(command, 0.0), memory.get(command, 0)))[-25:]
    if not rows:
        return empty(name, title, f"Nothing was measured in {timing.run}: its attempts were too short, or it was off.")
    # What was not measured of any command has no axis: an empty one would look like nought.
    cpus = [cpu.get(row) for row in rows]
    megabytes = [memory[row] / 1e6 if row in memory else None for row in rows]
    panels = [
        panel for panel in (
            (cpus, BLUE, "processor time (seconds)", "%{y}: %{x:.2f} s"), (megabytes, GREEN, "most memory (MB)", "%{y}: %{x:,.0f} MB"),
        ) if any(value is not None for value in panel[0])
    ]  # fmt: skip
    data: list[Trace] = []
    layout: dict[str, Any] = {"yaxis": {"type": "category", "showgrid": False}}
    for place, (values, colour, what, hover) in enumerate(panels):
        second = "2" * place
        data.append(
            {
                "type": "bar", "orientation": "h", "y": rows, "x": values, "showlegend": False, "marker": {"color": colour},
                "hovertemplate": f"{hover}<extra></extra>", "xaxis": f"x{second}", "yaxis": f"y{second}",
            }
        )  # fmt: skip
        domain = [0, 1] if len(panels) == 1 else ([0, 0.47], [0.53, 1])[place]
        layout[f"xaxis{second}"] = axis(what, domain=domain, rangemode="tozero", gridcolor=GRID)
        if place:
            layout["yaxis2"] = {**layout["yaxis"], "anchor": "x2", "showticklabels": False, "matches": "y"}
    told = f"The measured attempts of {timing.run} took {length(sum(cpu.values()))} of processor time"
    if memory:
        largest = max(memory, key=lambda command: memory[command])
        told += f"; {largest} needed the most memory, {memory[largest] / 1e6:,.0f} MB (its whole process tree)"
    told += ". Threads have no memory of their own, so none is shown for them."
    return Figure(name=name, title=title, text=told, data=data, layout=layout, height=120 + 26 * len(rows))
