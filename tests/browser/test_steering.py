"""Runs that are waited for, interrupted and looked at from elsewhere: several panels, other notebooks, the command line."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import orchestrator_nb
from orchestrator_nb import attach

HEAD = """\
%load_ext orchestrator_nb
import sys, threading, time
from pathlib import Path
from orchestrator_nb import Workflow, attach, context

def until(name):
    def slow():
        while not Path(name).exists():
            context.progress(0.5, "half")
            time.sleep(0.02)
    return slow

def build(name, go):
    flow = Workflow(name)
    flow.command(until(go), id="slow")
    flow.command(lambda slow: 1, id="last", after="slow")
    return flow

def tell_when_waiting(name, main=threading.main_thread().ident):
    def look():
        while True:
            frame, seen = sys._current_frames()[main], set()
            while frame is not None:
                seen.add(frame.f_code.co_name)
                frame = frame.f_back
            if "_wait_for_session" in seen:
                return Path(name).touch()
            time.sleep(0.02)
    threading.Thread(target=look, daemon=True).start()
"""


@pytest.fixture
def go(desk):
    """Says "go" to commands that wait for this file; the file is gone afterwards."""
    made = desk.server.root / "go"
    for name in ("go", "waiting"):
        (desk.server.root / name).unlink(missing_ok=True)
    yield made
    made.touch()  # nobody is left waiting
    desk.tidy()
    made.unlink()


def state(panel, command):
    """Return where the panel says the state of a command."""
    return panel.locator(f'tr[data-row="{command}"] .onb-state')


def interrupt(notebook):
    """Press the button with the black square."""
    notebook.panel.locator('[data-jp-item-name="interrupt"]').first.click()


def test_the_interrupt_of_a_waiting_cell_pauses_its_run_durably(desk, go, until):
    """Once pauses it, again ends what runs; the cell then has its result, and the journal says why."""
    from playwright.sync_api import expect

    notebook = desk.open([
        f"{HEAD}\nflow = build('waited', 'go')\nrun = flow.start()",
        "tell_when_waiting('waiting')\nrun.wait(check=False).state",
    ])  # fmt: skip
    notebook.run(0)
    panel = notebook.output(0)
    expect(state(panel, "slow")).to_have_text("running")
    notebook.run(1, wait=False)
    until((desk.server.root / "waiting").exists, seconds=90)
    interrupt(notebook)
    expect(panel.locator(".onb-pill")).to_have_text("paused")
    expect(panel.locator(".onb-say").first).to_contain_text("interrupted")
    interrupt(notebook)
    expect(notebook.output(1)).to_contain_text("'paused'")
    expect(state(panel, "slow")).not_to_have_text("running")
    found = attach("latest", store=desk.server.root / "runs").state
    assert (found.run.state, found.run.reason) == ("paused", "interrupted")
    assert found.commands["slow"].state not in ("running", "succeeded")


LONG = """
import sys
flow = Workflow("long")
flow.shell([sys.executable, "-c", "import signal, time; [signal.signal(n, signal.SIG_IGN) for n in (2, 15)]; time.sleep(900)"], id="deaf")
run = flow.start()
plain = {name: getattr(run, name) for name in ("interrupt", "stop")}
# Ten seconds become an hour, so that what is ended in this test is ended by the second press and not by patience.
for name, do in plain.items():
    setattr(run, name, lambda reason, *, grace=10.0, do=do: do(reason, grace=360 * grace))
"""


def test_a_second_interrupt_takes_the_grace_away(desk, until):
    """After the first what runs goes on for its grace; the second ends it at once, and the run can be resumed."""
    from playwright.sync_api import expect

    notebook = desk.open([f"{HEAD}{LONG}", "tell_when_waiting('waiting')\nrun.wait(check=False).state"])
    (desk.server.root / "waiting").unlink(missing_ok=True)
    notebook.run(0)
    panel = notebook.output(0)
    expect(state(panel, "deaf")).to_have_text("running")
    notebook.run(1, wait=False)
    until((desk.server.root / "waiting").exists, seconds=90)
    interrupt(notebook)
    expect(panel.locator(".onb-pill")).to_have_text("paused")
    expect(state(panel, "deaf")).to_have_text("running")
    assert notebook.outputs(1) == []
    interrupt(notebook)
    expect(notebook.output(1)).to_contain_text("'paused'")
    expect(state(panel, "deaf")).not_to_have_text("running")
    found = attach("latest", store=desk.server.root / "runs").state
    assert (found.run.state, found.commands["deaf"].state) == ("paused", "pending")


def test_a_second_press_of_stop_takes_the_grace_away(desk):
    """While what runs is given time to end, the button offers to give it none; both presses come from the keyboard."""
    from playwright.sync_api import expect

    notebook = desk.open([f"{HEAD}{LONG}"])
    notebook.run(0)
    panel = notebook.output(0)
    expect(state(panel, "deaf")).to_have_text("running")
    panel.get_by_role("button", name="Stop", exact=True).focus()
    notebook.page.keyboard.press("Enter")
    expect(panel.locator(".onb-pill")).to_have_text("stopping")
    expect(state(panel, "deaf")).to_have_text("running")
    now = panel.get_by_role("button", name="Stop now")
    expect(now).to_be_focused()
    notebook.page.keyboard.press("Enter")
    expect(panel.locator(".onb-pill")).to_have_text("stopped")
    assert attach("latest", store=desk.server.root / "runs").state.commands["deaf"].state == "cancelled"


def test_the_interrupt_of_another_cell_touches_no_run(desk, go):
    """That cell ends with a KeyboardInterrupt; the run goes on to its end."""
    from playwright.sync_api import expect

    busy = "print('busy', flush=True)\nwhile True: time.sleep(0.05)"
    notebook = desk.open([f"{HEAD}\nrun = build('untouched', 'go').start()", busy])
    notebook.run(0)
    panel = notebook.output(0)
    expect(state(panel, "slow")).to_have_text("running")
    notebook.run(1, wait=False)
    expect(notebook.output(1)).to_contain_text("busy")
    interrupt(notebook)
    expect(notebook.output(1)).to_contain_text("KeyboardInterrupt")
    expect(state(panel, "slow")).to_have_text("running")
    go.touch()
    expect(panel.locator(".onb-pill")).to_have_text("completed")


def test_several_panels_of_a_notebook_are_live_at_once(desk, go):
    """Two runs of one cell and one of another: each panel shows its own run, and a button steers that one alone."""
    from playwright.sync_api import expect

    notebook = desk.open([
        f"{HEAD}\none = build('one', 'go').start()\ntwo = build('two', 'go').start()",
        "three = build('three', 'go').start()\nawait three",
    ])  # fmt: skip
    notebook.run(0)
    notebook.run(1, wait=False)
    panels = {
        name: notebook.panel.locator(".onb-panel").filter(
            has=notebook.page.get_by_role("heading", name=name, exact=True)
        )
        for name in ("one", "two", "three")
    }
    for panel in panels.values():
        expect(state(panel, "slow")).to_have_text("running")
    panels["two"].get_by_role("button", name="Pause").click()
    expect(panels["two"].locator(".onb-pill")).to_have_text("paused")
    for name in ("one", "three"):
        expect(panels[name].locator(".onb-pill")).to_have_text("executing")
    go.touch()
    first = notebook.output(0)
    expect(first.locator(".onb-pill", has_text="completed")).to_have_count(1)
    expect(state(panels["two"], "slow")).to_have_text("succeeded")
    expect(state(panels["two"], "last")).not_to_have_text("succeeded")
    panels["two"].get_by_role("button", name="Resume").click()
    expect(first.locator(".onb-pill", has_text="completed")).to_have_count(2)
    expect(notebook.output(1).locator(".onb-pill")).to_have_text("completed")


def test_a_run_is_steered_from_another_notebook(desk, go):
    """A panel over the journal: it shows a run that another kernel drives, and its buttons reach that one."""
    from playwright.sync_api import expect

    first = desk.open([f"{HEAD}\nrun = build('elsewhere', 'go').start()"])
    first.run(0)
    expect(state(first.output(0), "slow")).to_have_text("running")
    second = desk.open(["%load_ext orchestrator_nb", "%workflow attach"])
    second.run(0)
    second.run(1)
    panel = second.output(1)
    expect(panel.get_by_role("heading", name="elsewhere")).to_be_visible()
    expect(panel.locator('tr[data-row="slow"] .onb-last')).to_contain_text("half")
    panel.get_by_role("button", name="Pause").click()
    expect(panel.locator(".onb-pill")).to_have_text("paused")
    assert attach("latest", store=desk.server.root / "runs").state.run.state == "paused"
    panel.get_by_role("button", name="Resume").click()
    expect(panel.locator(".onb-pill")).to_have_text("executing")
    go.touch()
    expect(panel.locator(".onb-pill")).to_have_text("completed")


def test_a_run_of_the_command_line_is_seen_and_stopped(desk, go):
    """`%workflow attach` shows what a terminal has started; Stop ends it there, with the exit code of a stopped run."""
    from playwright.sync_api import expect

    place = desk.server.root
    (place / "typed_steps.py").write_text(
        "import time\nfrom pathlib import Path\nfrom orchestrator_nb import context\n\n\ndef slow():\n"
        "    while not Path('go').exists():\n        context.progress(0.5, 'half')\n        time.sleep(0.02)\n"
    )
    (place / "typed.yaml").write_text("workflow: typed\ncommands:\n  slow: {call: 'typed_steps:slow'}\n")
    package = str(Path(orchestrator_nb.__file__).parents[1])
    environment = {**os.environ, "PYTHONPATH": package, "ORCHESTRATOR_NB_STORE": str(place / "runs")}
    code = "from orchestrator_nb.cli.main import main; main()"
    process = subprocess.Popen(
        [sys.executable, "-c", code, "run", "typed.yaml", "--progress", "none"],
        cwd=place, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    try:
        look = (
            "while attach().state.counts.get('running') != 1 or attach().state.run.workflow != 'typed': time.sleep(0.1)"
        )
        notebook = desk.open([HEAD, look, "%workflow attach"])
        for number in range(3):
            notebook.run(number)
        panel = notebook.output(2)
        expect(panel.get_by_role("heading", name="typed")).to_be_visible()
        expect(state(panel, "slow")).to_have_text("running")
        expect(panel.locator('tr[data-row="slow"] .onb-last')).to_contain_text("half")
        panel.get_by_role("button", name="Stop").click()
        expect(panel.locator(".onb-pill")).to_have_text("stopped")
        assert process.wait(90) == 5
    finally:
        go.touch()
        process.communicate(timeout=90)
