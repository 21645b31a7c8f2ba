"""What a notebook cannot do to others: its processes end with it, its sockets are its user's, its floods are bounded."""

from __future__ import annotations

import asyncio
import sys

import nbformat
import psutil
import pytest

from orchestrator_nb.commands.notebooks import bounds as notebook_bounds
from orchestrator_nb.commands.notebooks.engine import NAME, import_papermill
from orchestrator_nb.events import AttemptFailed, AttemptReturned

pytestmark = pytest.mark.kernel

DAEMON = """
import os, subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import os, time; os.setsid(); time.sleep(600)"])
while os.getsid(child.pid) != child.pid:
    time.sleep(0.01)
print(child.pid)
"""
SOCKETS = """
import json, os, stat
from ipykernel.connect import get_connection_file
from orchestrator_nb import context

path = get_connection_file()
folder = os.path.dirname(path)
connection = json.load(open(path))
sockets = [f"{connection['ip']}-{connection[each]}" for each in connection if each in ("shell_port", "control_port", "iopub_port")]
context.record("transport", connection["transport"])
context.record("modes", [oct(os.stat(each).st_mode & 0o777) for each in (path, folder)])
context.record("sockets", [stat.S_ISSOCK(os.stat(each).st_mode) and os.path.dirname(each) == folder for each in sockets])
"""
WIDGET = """
from comm import create_comm

state = {"_model_name": "IntModel", "_model_module": "numbers", "_model_module_version": "1.0.0", "value": 1}
widget = create_comm(target_name="jupyter.widget", data={"state": state, "buffer_paths": []}, metadata={"version": "2.1.0"})
widget.send({"method": "update", "state": {"value": 41 + 1}, "buffer_paths": []})
"""


def gone(pid):
    return not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


@pytest.mark.skipif(sys.platform == "win32", reason="sessions of processes are Unix's")
def test_what_a_notebook_has_started_ends_with_it(Trial, tmp_path):
    """Also after a success, and also a process with a session of its own, which a graceful shutdown leaves running."""
    trial = Trial(tmp_path, DAEMON)
    assert isinstance(trial.run(), AttemptReturned)
    assert gone(int(trial.output().cells[0].outputs[0].text))


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no sockets in files")
def test_what_papermill_runs_on_our_engine_ends_with_it_in_a_running_event_loop(tmp_path):
    """The engine leaves no process behind either, and can be called where an event loop is at work."""
    papermill = import_papermill()
    v4 = nbformat.v4
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    nbformat.write(v4.new_notebook(cells=[v4.new_code_cell(DAEMON)], metadata=kernel), tmp_path / "in.ipynb")

    async def run():
        return papermill.execute_notebook(str(tmp_path / "in.ipynb"), None, engine_name=NAME, progress_bar=False)

    assert gone(int(asyncio.run(run()).cells[0].outputs[0].text))


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no sockets in files")
def test_no_other_user_can_reach_a_kernel(Trial, tmp_path):
    """Its sockets are files in a folder that only its user may enter, where the key of its messages is."""
    trial = Trial(tmp_path, SOCKETS)
    assert isinstance(trial.run(), AttemptReturned)
    # nobody listens to the heartbeat of a forked kernel, and nobody would answer what it asks for: it has neither
    assert trial.values() == {"transport": "ipc", "modes": ["0o600", "0o700"], "sockets": [True] * 3}


@pytest.mark.skipif(sys.platform != "linux", reason="descriptors and threads are counted as Linux tells them")
def test_a_running_notebook_costs_its_owner_little(Trial, tmp_path):
    """While one more notebook runs this process has a few more descriptors and threads, where papermill's client takes
    more than two dozen and five; and those of forty kernels fit into the usual limit of 1,024 with ease."""
    me = psutil.Process()
    waiting = "import pathlib, time\nwhile not pathlib.Path('go').exists():\n    time.sleep(0.02)"

    def begun(name):
        trial = Trial(tmp_path / name, "print('begun', flush=True)\n" + waiting)
        answer = trial.in_background()
        trial.wait_until(lambda: trial.log_has("begun"))
        return answer

    answers = [begun("first")]  # with it come the server and the context of all
    before = (me.num_fds(), me.num_threads())
    answers += [begun(f"n{number}") for number in range(3)]
    after = (me.num_fds(), me.num_threads())
    for folder in tmp_path.iterdir():
        (folder / "go").touch()
    assert all(isinstance(answer(), AttemptReturned) for answer in answers)
    assert (after[0] - before[0]) / 3 <= 20
    assert (after[1] - before[1]) / 3 <= 4  # of them, one is the thread that this test runs it on


def test_a_flood_of_displays_is_bounded(Trial, tmp_path, monkeypatch):
    """Displays beyond all measure are left out with a word about it, and the notebook succeeds."""
    monkeypatch.setattr(notebook_bounds, "MOST_OUTPUTS", 50)
    trial = Trial(tmp_path, "from IPython.display import display\nfor number in range(500):\n    display(number)")
    assert isinstance(trial.run(), AttemptReturned)
    outputs = trial.output().cells[0].outputs
    assert len(outputs) == 51
    assert "left out" in outputs[-1].data["text/plain"]


def test_the_state_of_widgets_is_kept(Trial, tmp_path):
    """The output notebook has the widgets' last state, whether its cells succeed or fail."""
    trial = Trial(tmp_path, WIDGET, "1 / 0")
    assert isinstance(trial.run(), AttemptFailed)
    (widget,) = trial.output().metadata.widgets["application/vnd.jupyter.widget-state+json"]["state"].values()
    assert (widget.model_name, widget.state["value"]) == ("IntModel", 42)
