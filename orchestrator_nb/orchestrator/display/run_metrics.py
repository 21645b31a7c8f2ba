"""What a run cost, as a mapping that shows itself as sentences and a table."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from orchestrator_nb.orchestrator.display.shown import as_text

COLUMNS = ("command", "state", "attempts", "time", "waited", "kernel", "CPU", "memory", "recorded")
LONGEST_PATH = 12
"""Commands of a critical path that are named, half of them its first and half its last."""


class RunMetrics(dict[str, Any]):
    """The figures themselves, plain JSON to go on with; see `execution_metrics` for what they are."""

    def rows(self) -> Iterator[dict[str, str]]:
        """Yield what is shown of each command, by COLUMNS."""
        from orchestrator_nb.drawing.glyphs import duration
        from orchestrator_nb.drawing.numbers import number

        for name, item in self["commands"].items():
            memory = item["peak_memory_bytes"]
            yield {
                "command": name,
                "state": item["state"],
                "attempts": str(item["attempts"]),
                "time": duration(item["seconds"]) if item["attempts"] else "",
                "waited": duration(item["wait"]) if item["attempts"] else "",
                "kernel": duration(item["kernel"]) if item["kernel"] else "",
                "CPU": "" if item["cpu"] is None else duration(item["cpu"]),
                "memory": f"{memory / 1e6:.0f} MB" if memory else "",
                "recorded": ", ".join(f"{key} {number(value)}" for key, value in item["metrics"].items()),
            }

    def sentences(self) -> Iterator[str]:
        """Yield what is said of the run as a whole: times and attempts, use of its slots, the critical path."""
        from orchestrator_nb.drawing.glyphs import counted, duration

        yield (
            f"{self['run']}: {self['state']}, {duration(self['seconds'])}, commands busy for {duration(self['busy'])}, "
            f"{self['parallelism']:g} at a time, {counted(self['attempts'], 'attempt')}, "
            + ("1 retry" if self["retries"] == 1 else f"{self['retries']} retries")
        )
        yield (
            f"slots used: {_percent(self['efficiency'])}, coordination: {_percent(self['overhead'])}, waited "
            f"{duration(self['wait'])}, attempts that came to nothing: {duration(self['waste'])}"
        )
        if self["critical_path"]:
            path = [*self["critical_path"]]
            if len(path) > LONGEST_PATH:
                path[LONGEST_PATH // 2 : -LONGEST_PATH // 2] = [f"{len(path) - LONGEST_PATH:,} more"]
            yield f"critical path, {duration(self['critical_path_seconds'])}: {' → '.join(path)}"

    def __str__(self) -> str:
        from orchestrator_nb.drawing.columns import in_columns

        rows, columns = self._table()
        lines = in_columns([columns, *([row[name] for name in columns] for row in rows)]) if rows else []
        return as_text("\n".join([*self.sentences(), *lines]))

    def __repr__(self) -> str:
        return str(self)

    def _repr_html_(self) -> str:
        from html import escape

        from orchestrator_nb.drawing.table import table_card

        lead, *more = self.sentences()
        rows, columns = self._table()
        return table_card(
            lead, columns, rows, below="".join(f'<p class="onb-lead">{escape(each)}</p>' for each in more)
        )

    def _table(self) -> tuple[list[dict[str, str]], list[str]]:
        """Return the rows, and the columns in which any of them has something."""
        rows = list(self.rows())
        return rows, [name for name in COLUMNS if any(row[name] for row in rows)]


def _percent(part: float | None) -> str:
    return "nothing to say" if part is None else f"{part:.0%}"
