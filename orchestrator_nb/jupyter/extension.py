"""What `%load_ext orchestrator_nb` does: the magic, its completion, and the view."""

from __future__ import annotations

from typing import Any

from orchestrator_nb.analytics.showing import front_ends
from orchestrator_nb.jupyter.view import view
from orchestrator_nb.orchestrator.display.views import attach_view


def load_ipython_extension(shell: Any) -> None:
    """Give this shell the magic; loaded again it is the same."""
    from orchestrator_nb.jupyter.magic import WorkflowMagics

    shell.register_magics(WorkflowMagics)
    matchers = shell.Completer.custom_matchers
    matchers[:] = [other for other in matchers if not _is_ours(other)]
    matchers.append(_matcher())
    attach_view(view)
    if _show_dashboard not in front_ends:
        front_ends.append(_show_dashboard)


def unload_ipython_extension(shell: Any) -> None:
    """Take the magic away; runs and their panels go on."""
    for kind in ("line", "cell"):
        shell.magics_manager.magics[kind].pop("workflow", None)
    matchers = shell.Completer.custom_matchers
    matchers[:] = [other for other in matchers if not _is_ours(other)]


def _show_dashboard(made: Any) -> bool:
    from orchestrator_nb.jupyter.dashboard import show

    return show(made)


def _matcher() -> Any:
    from IPython.core.completer import context_matcher

    from orchestrator_nb.jupyter.completion import matcher

    return context_matcher(identifier="orchestrator_nb", priority=1500)(matcher)


def _is_ours(matcher: Any) -> bool:
    return bool(getattr(matcher, "matcher_identifier", "") == "orchestrator_nb")
