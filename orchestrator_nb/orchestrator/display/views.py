"""The socket of views: what shows runs and workflows live where somebody is looking, without being known here."""

from __future__ import annotations

import sys
from functools import cache
from typing import Any, Protocol

GROUP = "orchestrator_nb.views"
"""The entry points of views: each names an object that is a `View`."""


class View(Protocol):
    """Shows things where somebody is looking. Each method returns at once, and False where nobody is."""

    def show_run(self, run: Any) -> bool:
        """Show a run while it goes on."""

    def show_workflow(self, flow: Any) -> bool:
        """Show a workflow with the means to start it."""

    def is_shown(self, run: str) -> bool:
        """Say whether the run of this id is shown by what runs in the session just now."""


_attached: list[View] = []


def attach_view(view: View) -> None:
    """Have this view asked, too, where it is not installed as an entry point."""
    if not any(type(other) is type(view) for other in _views()):
        _attached.append(view)


def show_run(run: Any) -> bool:
    """Show a run; say whether anybody sees it live."""
    shown = [view.show_run(run) for view in _views()]
    return any(shown)


def show_workflow(flow: Any) -> bool:
    """Show a workflow; say whether anybody can start it there."""
    shown = [view.show_workflow(flow) for view in _views()]
    return any(shown)


def is_shown(run: str) -> bool:
    """Say whether what runs in the session just now shows the run already."""
    return any(view.is_shown(run) for view in _views())


def _views() -> list[View]:
    # Looking through what is installed takes longer than starting a run; outside of IPython there is nobody to look.
    return [*_installed(), *_attached] if "IPython" in sys.modules else []


@cache
def _installed() -> tuple[View, ...]:
    import logging
    from importlib.metadata import entry_points

    found: list[View] = []
    for entry in entry_points(group=GROUP):
        try:
            found.append(entry.load())
        except Exception as error:  # noqa: BLE001 - a view that is broken must not keep a run from starting
            logging.getLogger(GROUP).warning("the view %s cannot be loaded: %s", entry.name, error)
    return tuple(found)
