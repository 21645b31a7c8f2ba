"""What the page of ratings shows of a run, and what is kept when somebody rates it there."""

from __future__ import annotations

from typing import Any

from orchestrator_nb.events import RunRated
from orchestrator_nb.journal.identity import asker
from orchestrator_nb.journal.store_facts import store_facts
from orchestrator_nb.orchestrator.display.shown import as_text
from orchestrator_nb.orchestrator.run import Run

MOST_ADVICE = 8
"""So many recommendations can be rated in the panel."""


def ratings_of(run: Run) -> dict[str, Any]:
    """Return what was said of a run, the latest first, who would say something now, and what its figures advise as
    ``[subject, advice]``. Raises StoreError."""
    from orchestrator_nb.analytics.recommendations import recommendations

    said = [fact for fact in store_facts(run.folder.parent) if isinstance(fact, RunRated) and fact.run == run.id]
    given = [
        {
            "at": fact.at,
            "stars": fact.stars,
            "note": as_text(fact.note),
            "author": as_text(fact.author),
            "role": as_text(fact.role),
            "about": as_text(fact.about),
        }
        for fact in reversed(said)
    ]
    advice = recommendations(run.timing())[:MOST_ADVICE] if not run.is_running else []
    return {
        "given": given,
        "user": str(asker().get("user") or ""),
        "advice": [[item.subject, as_text(item.advice)] for item in advice],
    }


def rate(run: Run, content: dict[str, Any]) -> None:
    """Keep a rating as the page sends it. Raises UsageError where it says nothing, and StoreError."""
    stars = content.get("stars")
    texts = {name: str(content.get(name) or "") for name in ("note", "author", "role", "about")}
    run.rate(None if stars is None else int(stars), **texts)
