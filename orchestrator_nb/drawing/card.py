"""A run as a card of HTML without scripts: what is saved in a notebook, and what is shown where nothing can be live."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from html import escape
from importlib.resources import files
from pathlib import Path
from typing import Any
from urllib.parse import quote

from orchestrator_nb.drawing.bare import APART, mark
from orchestrator_nb.drawing.glyphs import GLYPHS, counted, duration
from orchestrator_nb.drawing.theme import variables

MOST_ROWS = 60
"""So many commands are listed at the most, those that went wrong among them."""

MOST_LINES = 80
"""So many lines of the log are kept at the most."""

RUN_LOOKS = {
    "completed": "succeeded",
    "failed": "failed",
    "error": "failed",
    "paused": "paused",
    "stopping": "cancelled",
    "stopped": "cancelled",
    "recovering": "waiting",
    "degraded": "waiting",
    "new": "pending",
}
"""The state of a command that looks as a run in this state does; any other looks like one that is running."""

ORDER = ("succeeded", "reused", "running", "waiting", "failed", "crashed", "upstream_failed", "cancelled", "skipped")
"""In which order the parts of the bar stand."""


@cache
def style() -> str:
    """Return the style sheet of cards and panels."""
    rules = (files("orchestrator_nb.drawing") / "panel.css").read_text(encoding="utf-8")
    return f".onb-panel {{ {variables()} }}\n{rules}"


def run_card(parts: Mapping[str, Any], *, svg: str, folder: Path) -> str:
    """Return the card of a run from the parts of its picture (see `orchestrator.picture`); every text is escaped."""
    head = parts["head"]
    commands = parts["plan"].get("commands", ())
    rows = list(_rows(parts, len(commands)))
    looks = RUN_LOOKS.get(head["phase"], "running")
    pill = mark(looks, escape(head["phase"]), pill=True)
    return "".join((
        f'<style>{style()}</style><section class="onb-panel" aria-label="run {escape(head["run"])}">',
        f'<div class="onb-head"><b class="onb-name">{escape(head["workflow"])}</b> {pill}',
        f'{APART}<span class="onb-run">{escape(head["run"])}</span></div>',
        meter(head["counts"], head["total"]),
        f'<p class="onb-sum">{_summary(head)}</p>',
        f'<p class="onb-say" data-state="{looks}">{escape(head["reason"])}</p>' if _says_more(parts) else "",
        *(f'<div class="onb-card">{card}</div>' for _, card in parts["cards"]),
        f'<div class="onb-flow"><div class="onb-view onb-fixed">{svg}</div></div>' if commands else "",
        _table(commands, rows, folder),
        _gates(parts["extras"].get("gates", ()), folder),
        _points(parts["extras"].get("checkpoints", ())),
        _log(parts),
        *(f'<p class="onb-next">{escape(step)}</p>' for step in head["next"]),
        "</section>",
    ))  # fmt: skip


def _says_more(parts: Mapping[str, Any]) -> bool:
    """Say whether the reason of a run tells what the cards of its failures do not."""
    return bool(parts["head"]["reason"]) and not (parts["head"]["phase"] == "failed" and parts["cards"])


def meter(counts: Mapping[str, int], total: int) -> str:
    """Return the bar of a run: how many of its commands are in which state."""
    done = sum(number for state, number in counts.items() if state not in ("pending", "ready", "running", "waiting"))
    pieces = "".join(
        f'<i data-state="{state}" style="width:{100 * counts[state] / max(1, total):.2f}%"></i>'
        for state in ORDER
        if counts.get(state)
    )
    return (
        f'<div class="onb-meter" role="progressbar" aria-label="commands done" aria-valuemin="0" '
        f'aria-valuemax="{total}" aria-valuenow="{done}">{pieces}</div>'
    )


def _summary(head: Mapping[str, Any]) -> str:
    counts = head["counts"]
    done = sum(counts.get(state, 0) for state in ("succeeded", "reused"))
    said = [f"<b>{done}</b> of {head['total']:,} done"]
    said += [
        f"<b>{counts[state]:,}</b> {GLYPHS[state].words}"
        for state in ("running", "waiting", "failed", "crashed", "upstream_failed", "cancelled", "skipped")
        if counts.get(state)
    ]
    if head["started"]:
        said.append(duration((head["ended"] or head["now"]) - head["started"]))
    if head["deviations"]:
        said.append(counted(head["deviations"], "deviation"))
    return APART.join(f"<span>{item}</span>" for item in said)


def _rows(parts: Mapping[str, Any], total: int) -> Iterator[Sequence[Any]]:
    chunk = parts["plan"].get("chunk", 1)
    for number in range((total + chunk - 1) // chunk):
        yield from parts.get(f"rows_{number}", ())


def _table(commands: Sequence[Sequence[Any]], rows: Sequence[Sequence[Any]], folder: Path) -> str:
    pairs = [(command, row) for command, row in zip(commands, rows, strict=False) if row]
    loud = [pair for pair in pairs if pair[1][0] in ("failed", "crashed", "running", "waiting")]
    shown = pairs if len(pairs) <= MOST_ROWS else loud[:MOST_ROWS] or pairs[:MOST_ROWS]
    body = "".join(_row(command, row, folder) for command, row in shown)
    more = "" if len(shown) == len(pairs) else f'<p class="onb-none">and {len(pairs) - len(shown):,} more commands</p>'
    heads = "".join(f'<th scope="col">{name}</th>' for name in ("Command", "State", "Time", "Latest"))
    return f'<table class="onb-rows"><thead><tr>{heads}</tr></thead><tbody>{body}</tbody></table>{more}'


def _row(command: Sequence[Any], row: Sequence[Any], folder: Path) -> str:
    state, attempt, _, seconds, cell, cells, _, note, notebook = row
    words = GLYPHS[state].words
    words += f" · cell {cell} of {cells}" if state == "running" and cells else ""
    words += f" <small>try {attempt}</small>" if attempt > 1 else ""
    link = f'<a href="{href(folder / notebook)}">output notebook</a> ' if notebook else ""
    time = duration(seconds) if seconds is not None else ""
    cells_of = (
        f'<td><span class="onb-id">{escape(command[0])}</span></td>',
        f"<td>{mark(state, words)}</td>",
        f'<td class="onb-time">{time}</td>',
        f'<td class="onb-last" title="{escape(note)}">{link}{escape(note)}</td>',
    )
    return f"<tr>{''.join(cells_of)}</tr>"


def _more(title: str, body: str) -> str:
    """Return what is folded away until somebody wants to read it."""
    return f'<details class="onb-more"><summary>{title}</summary>{body}</details>'


def _gates(gates: Sequence[Sequence[Any]], folder: Path) -> str:
    if not gates:
        return ""
    rows = "".join(f"<tr>{''.join(_gate(gate, folder))}</tr>" for gate in gates[:MOST_ROWS])
    heads = "".join(f'<th scope="col">{name}</th>' for name in ("Verdict", "Of", "Gate", "Found", "Evidence"))
    table = f'<table class="onb-rows onb-gates"><thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table>'
    bad = sum(gate[2] not in ("passed", "not checked") for gate in gates)
    return _more(f"Gates: {len(gates) - bad:,} of {len(gates):,} hold" if bad else f"Gates: {len(gates):,}", table)


def _gate(gate: Sequence[Any], folder: Path) -> Iterator[str]:
    command, name, verdict, blocking, found, evidence, _ = gate
    bad = "failed" if blocking else "warns"
    looks = {"passed": "succeeded", "not checked": "pending"}.get(verdict, bad)
    words = verdict if blocking or verdict == "passed" else f"{verdict}, warns"
    yield f"<td>{mark(looks, words)}</td>"
    yield f"<td>{escape(command or 'the run')}</td><td><code>{escape(name)}</code></td>"
    yield f'<td class="onb-last" title="{escape(found)}">{escape(found)}</td>'
    yield f'<td><a href="{href(folder / evidence)}">evidence</a></td>' if evidence else "<td></td>"


def _points(points: Sequence[Mapping[str, Any]]) -> str:
    if not points:
        return ""
    lines = (
        f"<li><time>{clock(point['at'])}</time> <span><b>{escape(point['label'])}</b> "
        f"<small>{counted(point['files'], 'file')} changed</small></span>{APART}<code>{escape(point['to'])}</code></li>"
        for point in points[-MOST_ROWS:]
    )
    return _more(f"Checkpoints: {len(points):,}", f'<ul class="onb-points">{"".join(lines)}</ul>')


def _log(parts: Mapping[str, Any]) -> str:
    entries = [entry for number in range(parts["head"].get("logs", 0)) for entry in parts.get(f"log_{number}", ())]
    lines = (
        f"<li><time>{clock(at)}</time> <b>{escape(who or 'the run')}</b> <span>{escape(what)}</span></li>"
        for at, who, what in entries[-MOST_LINES:]
    )
    left = f"; the last {MOST_LINES} of {len(entries):,}" if len(entries) > MOST_LINES else ""
    return _more(f"Log{left}", f'<ol class="onb-log">{"".join(lines)}</ol>') if entries else ""


def clock(at: float) -> str:
    """Return the time of day of a moment, as it was where this was written."""
    return time.strftime("%H:%M:%S", time.localtime(at))


def href(path: Path) -> str:
    """Return a link to a file, escaped: relative for one that a notebook in the working directory has near itself, as
    Jupyter opens it; a file: address for one elsewhere; the path as it is where it is relative to nobody knows what."""
    if not path.is_absolute():
        return escape(str(path))
    here = Path.cwd()
    if path.anchor != here.anchor or os.path.commonpath((path, here)) == path.anchor:
        return escape(path.as_uri())
    return escape(quote(os.path.relpath(path, here).replace(os.sep, "/")))


def listing(lines: Iterable[str]) -> str:
    """Return lines as preformatted text."""
    return f"<pre>{escape(chr(10).join(lines))}</pre>"
