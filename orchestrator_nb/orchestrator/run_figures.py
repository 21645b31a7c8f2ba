"""What a run tells in figures and reports, and what people say of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from orchestrator_nb.errors import UsageError
from orchestrator_nb.journal.file import read
from orchestrator_nb.journal.store import JOURNAL

STARS = range(1, 6)


class RunFigures:
    """Looks at the journal of the run in `folder`, whoever owns it."""

    folder: Path

    def timing(self) -> Any:
        """Return where its time went, a `Timing`: spans, critical path, efficiency, waste. Raises StoreError."""
        from orchestrator_nb.state.timing import timing

        return timing(read(self.folder / JOURNAL))

    def timeline(self) -> Any:
        """Return a `Figure` of when each attempt waited, started its kernel and ran, with the critical path."""
        from orchestrator_nb.analytics.figures.of_run import timeline

        return timeline(self.timing())

    def graph(self) -> Any:
        """Return a `Figure` of its graph, each command by how long it took."""
        from orchestrator_nb.analytics.figures.of_run import graph

        return graph(self.timing())

    def report(self, kind: str = "summary") -> Any:
        """Return a `Report` about it: summary, detailed, recommendations, quality or trends. Raises UsageError."""
        from orchestrator_nb.analytics.reports import report

        return report(kind, self.folder.name, store=self.folder.parent)

    def rate(
        self, stars: int | None = None, *, note: str = "", author: str = "", role: str = "", about: str = ""
    ) -> None:
        """Keep what somebody thinks of it, in the store: 1 to 5 `stars`, a `note`, or both; `about` a recommendation of
        that subject where it is about one and not about the run. The author is the user where none is named.

        Raises UsageError for other stars or nothing said, and StoreError.
        """
        import time

        from orchestrator_nb.events import RunRated
        from orchestrator_nb.journal.identity import asker
        from orchestrator_nb.journal.store_facts import record_facts

        if stars is not None and stars not in STARS:
            raise UsageError(f"a rating has 1 to 5 stars; found {stars!r}")
        if stars is None and not note:
            raise UsageError("a rating has stars, a note or both; found neither")
        by = asker()
        rated = RunRated(
            at=time.time(),
            run=self.folder.name,
            stars=stars,
            note=note,
            author=author or str(by.get("user") or ""),
            role=role,
            about=about,
            by=by,
        )
        record_facts(self.folder.parent, [rated])
