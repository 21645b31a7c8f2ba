"""The view that Jupyter is: panels for runs, launch forms for workflows, in the cell that runs."""

from __future__ import annotations

import sys
import threading

from orchestrator_nb.jupyter import frontend
from orchestrator_nb.orchestrator.run import Run
from orchestrator_nb.orchestrator.workflow import Workflow


class JupyterView:
    """See `orchestrator.views.View`."""

    def __init__(self) -> None:
        self._cell = ""
        self._shown: set[str] = set()
        self._told = False

    def show_run(self, run: Run, *, stay: bool = False) -> bool:
        """Show the panel of a run, once in a cell."""
        if not self._can_show():
            return False
        if not self.is_shown(run.id):
            from orchestrator_nb.jupyter.panel import Panel

            Panel(run, stay=stay).display()
            self._cell = frontend.cell_id()
            self._shown.add(run.id)
        return True

    def show_workflow(self, flow: Workflow) -> bool:
        """Show the launch form of a workflow."""
        if not self._can_show():
            return False
        from orchestrator_nb.jupyter.launch import Launch

        Launch(flow).display()
        return True

    def is_shown(self, run: str) -> bool:
        """Say whether the cell that runs shows this run."""
        if self._cell != frontend.cell_id():
            self._cell = frontend.cell_id()
            self._shown.clear()
        return run in self._shown

    def _can_show(self) -> bool:
        # What is clicked is done on other threads, and they have no cell of their own to show anything in.
        if threading.current_thread() is not threading.main_thread() or not frontend.is_live():
            return False
        missing = frontend.missing_packages()
        if missing and not self._told:
            self._told = True
            needed = f'live panels need {" and ".join(missing)}: pip install "orchestrator-nb[jupyter]"'
            sys.stderr.write(f"{needed}\n")
        return not missing


view = JupyterView()
"""That of this process: the entry point of the group `orchestrator_nb.views`."""
