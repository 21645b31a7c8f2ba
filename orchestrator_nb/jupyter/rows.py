"""A list of rows that shows itself as a table, as text and as HTML."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from html import escape
from typing import Any

from orchestrator_nb.drawing.bare import mark
from orchestrator_nb.drawing.card import style
from orchestrator_nb.drawing.columns import in_columns
from orchestrator_nb.orchestrator.display.shown import as_text


class Rows(list[dict[str, Any]]):
    """The rows themselves, to go on with; `shown` makes of a row what its `columns` say, `looks` gives the state whose
    shape and colour its column ``state`` has."""

    def __init__(
        self,
        rows: Iterable[dict[str, Any]],
        *,
        lead: str,
        columns: tuple[str, ...],
        shown: Callable[[dict[str, Any]], Mapping[str, Any]],
        looks: Callable[[dict[str, Any]], str],
    ) -> None:
        super().__init__(rows)
        self._lead = lead
        self._columns = columns
        self._shown = shown
        self._looks = looks

    def __repr__(self) -> str:
        table = [self._columns, *(tuple(str(self._shown(row)[name]) for name in self._columns) for row in self)]
        return as_text("\n".join([self._lead, *in_columns(table)]))

    def _repr_html_(self) -> str:
        heads = "".join(f'<th scope="col">{name}</th>' for name in self._columns)
        body = "".join(f"<tr>{''.join(self._cell(row, name) for name in self._columns)}</tr>" for row in self)
        return (
            f'<style>{style()}</style><section class="onb-panel" aria-label="{escape(self._lead)}">'
            f'<p class="onb-lead">{escape(self._lead)}</p>'
            f'<table class="onb-rows onb-free"><thead><tr>{heads}</tr></thead><tbody>{body}</tbody></table></section>'
        )

    def _cell(self, row: dict[str, Any], name: str) -> str:
        text = escape(str(self._shown(row)[name]))
        if name != "state":
            return f"<td>{text}</td>"
        return f"<td>{mark(self._looks(row), text)}</td>"
