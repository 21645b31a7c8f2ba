"""A dashboard in a notebook: controls for dates, workflow and tag; what they choose is read and drawn anew."""

from __future__ import annotations

from datetime import timedelta
from html import escape
from typing import Any

from orchestrator_nb.analytics.dashboards import Dashboard
from orchestrator_nb.analytics.figures.figure import Figure
from orchestrator_nb.analytics.page import Part, Table, plain_table
from orchestrator_nb.analytics.selection import Filters
from orchestrator_nb.drawing.bare import drawn
from orchestrator_nb.errors import OrchestratorError
from orchestrator_nb.jupyter import frontend
from orchestrator_nb.jupyter.widget import bundle_of

MIME = "application/vnd.plotly.v1+json"
ALL = "all"


class LiveDashboard:
    """A dashboard with controls; each change reads the history as it then is and draws every part anew."""

    def __init__(self, made: Dashboard) -> None:
        import ipywidgets as widgets

        self.shown = made
        entries = made.page.runs
        workflows = sorted({entry.workflow for entry in entries})
        tags = sorted({tag for entry in entries for tag in entry.tags})
        options = {"layout": widgets.Layout(width="auto")}
        given = made.filters
        asked = given.get("workflow")
        self.workflow = widgets.Dropdown(description="Workflow", options=[ALL, *workflows], **options)
        self.tag = widgets.Dropdown(description="Tag", options=[ALL, *tags], **options)
        if isinstance(asked, str) and asked in workflows:
            self.workflow.value = asked
        if (tag := given.get("tag")) in tags:
            self.tag.value = tag
        self.since = widgets.DatePicker(description="From", **options)
        self.until = widgets.DatePicker(description="Until", **options)
        self.again = widgets.Button(description="Read again", tooltip="Read the history as it is now", **options)
        self.parts = widgets.Output()
        self.said = widgets.HTML()
        controls = (self.workflow, self.tag, self.since, self.until)
        for control in controls:
            control.observe(lambda _: self.draw(), names="value")
        self.again.on_click(lambda _: self.draw())
        bar = widgets.HBox([*controls, self.again], layout=widgets.Layout(flex_flow="row wrap"))
        self.widget = widgets.VBox([bar, self.said, self.parts])
        self._put(made)

    @property
    def filters(self) -> Filters:
        """What is chosen now, over what the dashboard was asked for."""
        found: Filters = {**self.shown.filters}
        found["workflow"] = self.shown.filters.get("workflow") if self.workflow.value == ALL else self.workflow.value
        found["tag"] = None if self.tag.value == ALL else self.tag.value
        if self.since.value is not None:
            found["since"] = self.since.value
        if self.until.value is not None:
            found["until"] = self.until.value + timedelta(days=1)
        return found

    def draw(self) -> None:
        """Read the history again and draw what is chosen of it."""
        try:
            self._put(self.shown.narrowed(**self.filters))
        except OrchestratorError as error:
            self.said.value = f"<p>{escape(str(error))}</p>"

    def display(self) -> None:
        """Show it below the cell that runs."""
        from IPython.display import display

        words = {"text/html": self.shown.page.to_words(), "text/plain": repr(self.shown)}
        display({**bundle_of(self.widget), **words}, raw=True)  # type: ignore[no-untyped-call]

    def _put(self, made: Dashboard) -> None:
        page = made.page
        count = len(page.runs)
        notes = " ".join(page.notes)
        self.said.value = (
            f"<h2>{escape(page.title)}</h2><p>{escape(page.lead)} {count:,} run{'' if count == 1 else 's'}.</p>"
            f"<p><small>{escape(notes)}</small></p>"
        )
        outputs: list[dict[str, Any]] = []
        for part in page.parts:
            outputs += _outputs(part)
        # All at once and not one after the other: what was there stays until what comes is there.
        self.parts.outputs = tuple(outputs)


def _outputs(part: Part) -> list[dict[str, Any]]:
    """Return a part as what a cell would have shown."""
    if isinstance(part, Figure):
        words = _html(f"<h3>{escape(part.title)}</h3><p>{escape(part.caption)}</p>", str(part))
        return (
            [words]
            if part.is_empty
            else [words, _data({MIME: part.to_plotly(), "text/html": drawn(part.to_svg()), "text/plain": str(part)})]
        )
    if isinstance(part, Table):
        told = f"<h3>{escape(part.title)}</h3>{plain_table(part)}<p>{escape(part.text)}</p>"
        return [_html(told, f"{part.title}: {part.text}")]
    told = "".join(f"<p>{escape(text)}</p>" for text in part.paragraphs)
    return [_html(f"<h3>{escape(part.title)}</h3>{told}", "\n".join(part.paragraphs))]


def _html(html: str, text: str) -> dict[str, Any]:
    return _data({"text/html": html, "text/plain": text})


def _data(bundle: dict[str, Any]) -> dict[str, Any]:
    return {"output_type": "display_data", "data": bundle, "metadata": {}}


def show(made: Dashboard) -> bool:
    """Show a dashboard with controls where somebody can use them; say whether that was so."""
    if not frontend.is_live() or frontend.missing_packages():
        return False
    LiveDashboard(made).display()
    return True
