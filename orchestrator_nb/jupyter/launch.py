"""The launch form of a workflow: a field for each of its parameters, made for its type, and a button that starts it."""

from __future__ import annotations

import json
import queue
from collections.abc import Callable
from contextlib import suppress
from datetime import date
from html import escape
from typing import Any

from orchestrator_nb.definition.models import ParameterDefinition
from orchestrator_nb.definition.parameters import bind_parameters
from orchestrator_nb.drawing.card import style
from orchestrator_nb.drawing.glyphs import counted
from orchestrator_nb.jupyter import frontend
from orchestrator_nb.jupyter.panel import Panel, hands
from orchestrator_nb.jupyter.publisher import publisher
from orchestrator_nb.jupyter.widget import bundle_of
from orchestrator_nb.orchestrator.display.shown import as_text
from orchestrator_nb.orchestrator.workflow import Workflow

WIDE = {"width": "min(38em, 98%)"}
SLOTS = "slots (0: CPUs)"


class Launch:
    """The form and the runs that were started with it. Its widgets are made by the cell, changed by the publisher."""

    def __init__(self, flow: Workflow) -> None:
        import ipywidgets as w

        self._flow = flow
        self._done: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._open = 0
        self._parent: dict[str, Any] = {}
        definition = flow.definition
        labels = [*definition.parameters, SLOTS]
        wide = f"{min(22.0, max(8.0, 0.58 * max(map(len, labels)) + 1)):.1f}em"
        self.fields = {name: _field(name, item, wide) for name, item in definition.parameters.items()}
        texts = {name for name, field in self.fields.items() if isinstance(field, w.Text)}
        self._texts = {name for name in texts if definition.parameters[name].type != "string"}
        slots = 0 if definition.slots is None else definition.slots
        self.slots = w.BoundedIntText(
            value=slots, min=0, max=10_000, description=SLOTS, style={"description_width": wide}, layout=WIDE
        )
        self.reuse = w.Checkbox(
            value=False, description="reuse what is up to date", style={"description_width": wide}, layout=WIDE
        )
        self.start = w.Button(description="Start", button_style="primary", tooltip="Start a run with these parameters")
        self.check = w.Button(description="Check", tooltip="Check everything and show the plan; nothing is run")
        self.start.on_click(lambda _button: self._clicked(self._start))
        self.check.on_click(lambda _button: self._clicked(self._plan))
        self.note = w.HTML()
        self.runs = w.VBox([])
        count = len(definition.commands)
        head = w.HTML(
            f'<style>{style()}</style><div class="onb-panel onb-plain"><div class="onb-head">'
            f'<span class="onb-name" role="heading" aria-level="3">{escape(flow.name)}</span>'
            f'<span class="onb-run">{counted(count, "command")}</span></div>'
            + (f'<p class="onb-hint">{escape(definition.description)}</p>' if definition.description else "")
            + "</div>"
        )
        described = [
            w.VBox([field, *([w.HTML(_hint(item.description, wide))] if item.description else [])])
            for (_, field), item in zip(self.fields.items(), definition.parameters.values(), strict=True)
        ]
        self.box = w.VBox([
            head, *described, self.slots, self.reuse, w.HBox([self.start, self.check]), self.note, self.runs,
        ])  # fmt: skip
        self.box.add_class("onb-launch")

    def display(self) -> None:
        """Show it in the cell that runs."""
        from IPython.display import display

        self._parent = frontend.cell_parent()
        bundle = {**bundle_of(self.box), "text/plain": repr(self._flow), "text/html": self._flow._repr_html_()}
        display(bundle, raw=True)  # type: ignore[no-untyped-call]

    def values(self) -> tuple[dict[str, Any], set[str]]:
        """Return the parameters as they are in the form, and which of them are text to be read as their type."""
        given: dict[str, Any] = {}
        for name, field in self.fields.items():
            value = field.value
            declared = self._flow.definition.parameters[name]
            if value == "" and (declared.type != "string" or declared.required):
                continue  # nothing was typed: its default, or the message that it is missing
            given[name] = value.isoformat() if isinstance(value, date) else value
            if value is None:
                del given[name]
        return given, self._texts & given.keys()

    # ── clicks ──────────────────────────────────────────────────────────────────────────────────────────────────

    def _clicked(self, what: Callable[[], Callable[[], None]]) -> None:
        """Have it done elsewhere; what it returns is then done by the publisher, which owns the widgets."""
        self._open += 1
        hands.do(lambda: self._answer(what()), lambda error: self._answer(lambda: self._say(str(error), "failed")))
        publisher.add(self)

    def _answer(self, shown: Callable[[], None]) -> None:
        self._done.put(shown)
        publisher.hurry()

    def publish(self) -> bool:
        """Show what clicks came to. The publisher's thread alone calls this."""
        with suppress(queue.Empty):
            while True:
                shown = self._done.get_nowait()
                try:
                    shown()
                except Exception as error:  # noqa: BLE001 - said where it was clicked
                    self._say(str(error), "failed")
                finally:
                    self._open -= 1
        return self._open > 0

    def left(self, why: str) -> None:
        """Say below the form that what a click came to cannot be shown."""
        self._say(f"What was clicked cannot be shown: {why}. See what runs with: %workflow history", "failed")

    def _start(self) -> Callable[[], None]:
        given, texts = self.values()
        run = self._flow.start(
            wait=False,
            parameters=given,
            text_parameters=texts,
            slots=self.slots.value or None,
            reuse=self.reuse.value,
        )
        return lambda: self._show(run)

    def _plan(self) -> Callable[[], None]:
        given, texts = self.values()
        bound = bind_parameters(self._flow.definition.parameters, given, text=texts)
        plan = self._flow.plan(bound, slots=self.slots.value or None, reuse=self.reuse.value)
        return lambda: self._say(as_text(repr(plan)), "succeeded", drawn=plan._repr_html_())

    def _show(self, run: Any) -> None:
        self._say("", "")
        with frontend.in_cell(self._parent) as can_show:
            panel = Panel(run)
            if can_show and not frontend.is_voila():
                panel.display(self._parent)
                return
        import ipywidgets as w

        self.runs.children = (*self.runs.children, panel.widget)

        def place(html: str) -> None:
            kept = [w.HTML(html) if child is panel.widget else child for child in self.runs.children]
            self.runs.children = tuple(kept)

        panel.put(place)

    def _say(self, text: str, state: str, *, drawn: str = "") -> None:
        said = f'<div class="onb-say" data-state="{state}">{escape(text)}</div>' if state == "failed" else drawn
        self.note.value = f'<div class="onb-panel onb-plain" role="status">{said}</div>' if text else ""


def _hint(text: str, wide: str) -> str:
    """Return what a parameter is for, below its field."""
    # The indent is in the letters of the labels, and those of the hint are smaller.
    indented = f'<div style="margin-left:{wide}"><p class="onb-hint">{escape(text)}</p></div>'
    return f'<div class="onb-panel onb-plain">{indented}</div>'


def _field(name: str, parameter: ParameterDefinition, wide: str) -> Any:
    """Return the widget that fits a parameter: its type, its default, its choices."""
    import ipywidgets as w

    default = parameter.default
    common = {"description": name, "style": {"description_width": wide}, "layout": WIDE}
    if parameter.choices is not None:
        options = [(str(choice), choice) for choice in parameter.choices]
        there = any(choice == default for choice in parameter.choices)
        return w.Dropdown(options=options, value=default if there else parameter.choices[0], **common)
    if parameter.type == "boolean":
        return w.Checkbox(value=bool(default), **common)
    if parameter.type == "integer" and isinstance(default, int) and abs(default) < 2**53:
        return w.IntText(value=default, **common)
    if parameter.type == "number" and isinstance(default, int | float):
        return w.FloatText(value=float(default), **common)
    if parameter.type == "date":
        return w.DatePicker(value=None if default is None else date.fromisoformat(str(default)), **common)
    if default is None:
        text = ""
    else:
        text = default if isinstance(default, str) else json.dumps(default, ensure_ascii=False)
    return w.Text(value=text, placeholder=f"{parameter.type}, to be given" if parameter.required else "", **common)
