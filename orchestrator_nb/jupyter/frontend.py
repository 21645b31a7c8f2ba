"""Where a cell is looked at: live in a browser, or run by a program that keeps what is shown."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

SWITCH = "ORCHESTRATOR_NB_PANEL"
"""The variable of the environment that settles it: on or off."""


def shell() -> Any:
    """Return IPython's shell of this process, None where there is none."""
    module = sys.modules.get("IPython")
    return None if module is None else module.get_ipython()


def is_live(environ: Mapping[str, str] | None = None) -> bool:
    """Say whether somebody can see widgets change: in a notebook that is open in a browser or an editor, or in Voilà.

    What papermill, nbclient and nbconvert run bears no cell id and cannot be asked for input; notebooks bear both.
    """
    environ = os.environ if environ is None else environ
    running = shell()
    if running is None or not hasattr(running, "kernel"):
        return False
    switch = environ.get(SWITCH, "").lower()
    if switch:
        return switch in ("1", "on", "true", "yes")
    if is_voila(environ):
        return True
    parent = cell_parent()
    return bool(parent.get("metadata", {}).get("cellId") or parent.get("content", {}).get("allow_stdin"))


def is_voila(environ: Mapping[str, str] | None = None) -> bool:
    """Say whether Voilà runs the notebook: there, only widgets that were shown while the page was made can change."""
    environ = os.environ if environ is None else environ
    return environ.get("SERVER_SOFTWARE", "").lower().startswith("voila")


def cell_parent() -> dict[str, Any]:
    """Return the request that the running cell came with; empty outside of a kernel."""
    running = shell()
    with suppress(AttributeError, LookupError):
        parent = running.get_parent()
        if isinstance(parent, dict):
            return parent
    return {}


def cell_id() -> str:
    """Return what tells this execution of a cell from every other."""
    return str(cell_parent().get("header", {}).get("msg_id", ""))


@contextmanager
def in_cell(parent: dict[str, Any]) -> Iterator[bool]:
    """Have what this thread shows belong to the cell of this request; False where the kernel cannot do that."""
    running = shell()
    mark = getattr(running, "set_thread_parent", None)
    if mark is None or not parent:
        yield False
        return
    token = mark(parent)
    try:
        yield True
    finally:
        running.reset_thread_parent(token)


def missing_packages() -> list[str]:
    """Return which packages the live panel needs and are not installed."""
    from importlib.util import find_spec

    return [name for name in ("anywidget", "ipywidgets") if find_spec(name) is None]
