"""The live panel in real front ends: seen changing, clicked, reloaded, read by a screen reader's rules."""

from __future__ import annotations

import re

import pytest

STEPS = """\
%load_ext orchestrator_nb
import time
from pathlib import Path
from orchestrator_nb import Workflow, attach, context
for name in ("go", "stop"):
    Path(name).unlink(missing_ok=True)

def slow():
    print("looking for a file")
    context.progress(0.25, "a quarter")
    while not Path("go").exists():
        context.progress(0.5, "half")
        time.sleep(0.02)
    return 1
"""
FLOW = f"""{STEPS}
flow = Workflow("sales")
flow.command(lambda: 1, id="fetch")
flow.command(slow, after="fetch")
flow.command(lambda slow: slow + 1, id="last", after="slow")
run = flow.start()
"""
GO = "Path('go').touch()"


def state(panel, command):
    """Return where the panel says the state of a command."""
    return panel.locator(f'tr[data-row="{command}"] .onb-state')


def test_states_change_while_other_cells_are_run(desk):
    """The panel is live while another cell keeps the kernel busy, and at the end it is plain HTML in the notebook."""
    from playwright.sync_api import expect

    notebook = desk.open([FLOW, "while run.state.counts.get('succeeded') != 3: time.sleep(0.1)", GO])
    notebook.run(0)
    panel = notebook.output(0)
    expect(state(panel, "fetch")).to_have_text("succeeded")
    expect(state(panel, "slow")).to_have_text("running")
    expect(panel.locator('tr[data-row="slow"] .onb-last')).to_contain_text("half")
    expect(panel.locator('[data-node="slow"]')).to_have_attribute("data-state", "running")
    expect(panel.get_by_role("progressbar")).to_have_attribute("aria-valuenow", "1")
    notebook.run(1, wait=False)
    # The file is made beside the kernel, whose cell waits for the end of the run.
    (desk.server.root / "go").touch()
    expect(panel.locator(".onb-pill")).to_have_text("completed")
    expect(panel.locator("svg [data-node=last]")).to_have_attribute("data-state", "succeeded")
    notebook.wait(
        "() => !JSON.stringify(window.jupyterapp.shell.currentWidget.content.widgets[0].model.outputs.toJSON())"
        ".includes('widget-view')"
    )
    saved = notebook.save().cells[0].outputs
    assert [sorted(output["data"]) for output in saved] == [["text/html", "text/plain"]]
    assert "completed" in saved[0]["data"]["text/html"]
    assert not desk.refused


def test_pause_resume_and_stop_by_button(desk):
    """What is clicked is recorded while a cell keeps the kernel busy, and what comes of it is seen."""
    from playwright.sync_api import expect

    notebook = desk.open([FLOW, "while not Path('stop').exists(): time.sleep(0.1)", "attach().state.run.reason"])
    notebook.run(0)
    panel = notebook.output(0)
    expect(state(panel, "slow")).to_have_text("running")
    notebook.run(1, wait=False)
    panel.get_by_role("button", name="Pause").click()
    expect(panel.locator(".onb-pill")).to_have_text("paused")
    panel.get_by_role("button", name="Resume").click()
    expect(panel.locator(".onb-pill")).to_have_text("executing")
    (desk.server.root / "stop").touch()
    (desk.server.root / "go").touch()
    expect(panel.locator(".onb-pill")).to_have_text("completed")
    (desk.server.root / "go").unlink()


def test_a_failing_command_shows_its_card(desk):
    """The failure is told in the panel, with its traceback, and what did not run because of it."""
    from playwright.sync_api import expect

    notebook = desk.open([
        (f"{STEPS}\nflow = Workflow('bad')\nflow.command(slow)\n\n"
        "@flow.command(after='slow')\ndef boom():\n    raise KeyError('amount')\n\n"
        "flow.command(lambda boom: 1, id='never')\nrun = flow.start()"),
        GO,
    ])  # fmt: skip
    notebook.run(0)
    panel = notebook.output(0)
    expect(state(panel, "slow")).to_have_text("running")
    notebook.run(1)
    expect(panel.locator(".onb-pill")).to_have_text("failed")
    card = panel.locator(".onb-card")
    expect(card).to_contain_text("KeyError: 'amount'")
    card.locator("summary").click()
    expect(card).to_contain_text("raise KeyError('amount')")
    expect(panel.get_by_text("upstream failed").first).to_be_visible()
    expect(panel.get_by_text("flow.resume()")).to_be_visible()


def test_a_workflow_is_started_by_button(desk):
    """The form has a field for each parameter, made for its type; the button starts a run with what is in them."""
    from playwright.sync_api import expect

    yaml = (
        "%%workflow report\nparameters:\n  day: 2026-01-01\n  rows: {type: integer, default: 5}\n"
        "  mode: {choices: [fast, exact], default: fast}\n  draft: true\n"
        "commands:\n  show: {call: 'launched:show', parameters: {rows: '${{ parameters.rows }}', "
        "mode: '${{ parameters.mode }}'}}"
    )
    (desk.server.root / "launched.py").write_text("def show(rows, mode):\n    return [rows, mode]\n")
    notebook = desk.open(["%load_ext orchestrator_nb", yaml, "report and attach().result.outputs['show']"])
    notebook.run(0)
    notebook.run(1)
    form = notebook.output(1)
    form.get_by_label("rows").fill("7")
    form.get_by_label("mode").select_option("exact")
    expect(form.get_by_label("draft")).to_be_checked()
    form.get_by_role("button", name="Check").click()
    expect(form).to_contain_text("report: 1 command")
    form.get_by_role("button", name="Start").click()
    expect(form.locator(".onb-pill")).to_have_text("completed")
    notebook.page.evaluate("() => 0")
    notebook.run(2)
    assert not desk.refused


def test_a_run_is_attached_to_after_the_page_was_loaded_again(desk):
    """A panel that was there is there again, and another can be opened beside it."""
    from playwright.sync_api import expect

    notebook = desk.open([FLOW, "%workflow attach", GO])
    notebook.run(0)
    expect(state(notebook.output(0), "slow")).to_have_text("running")
    notebook.save()
    notebook.load()
    expect(state(notebook.output(0), "slow")).to_have_text("running")
    notebook.run(1)
    attached = notebook.output(1)
    expect(state(attached, "slow")).to_have_text("running")
    attached.get_by_role("button", name="slow", exact=True).first.click()
    expect(attached.locator(".onb-detail")).to_contain_text("looking for a file")
    notebook.run(2)
    expect(attached.locator(".onb-pill")).to_have_text("completed")
    expect(notebook.output(0).locator(".onb-pill")).to_have_text("completed")


def test_the_keyboard_reaches_everything(desk):
    """Buttons, graph, tabs and rows are used without a pointer."""
    from playwright.sync_api import expect

    notebook = desk.open([FLOW, GO])
    notebook.run(0)
    panel = notebook.output(0)
    expect(state(panel, "slow")).to_have_text("running")
    panel.locator('[data-node="slow"]').focus()
    notebook.page.keyboard.press("Enter")
    expect(panel.locator(".onb-detail")).to_contain_text("attempt 1")
    panel.get_by_role("tab", name="Commands").focus()
    notebook.page.keyboard.press("ArrowRight")
    expect(panel.get_by_role("tab", name="Log")).to_be_focused()
    expect(panel.locator(".onb-log")).to_contain_text("started")
    panel.get_by_role("button", name="Pause").focus()
    notebook.page.keyboard.press("Enter")
    expect(panel.locator(".onb-pill")).to_have_text("paused")
    panel.get_by_role("button", name="Stop").focus()
    (desk.server.root / "go").touch()
    notebook.page.keyboard.press("Enter")
    expect(panel.locator(".onb-pill")).to_have_text("stopped")
    (desk.server.root / "go").unlink()


def test_five_hundred_commands_are_folded_and_found(desk):
    """The graph shows what is alike as one box, the table draws only what can be seen, and a search finds a command."""
    from playwright.sync_api import expect

    notebook = desk.open([
        (f"{STEPS}\nflow = Workflow('wide')\nflow.command(lambda: 1, id='split')\n"
        "for i in range(498): flow.command(lambda split: 1, id=f'part_{i:03}', after='split')\n"
        "flow.command(slow, after=[f'part_{i:03}' for i in range(498)])\n"
        "run = flow.start(durability='process')"),
        GO,
    ])  # fmt: skip
    notebook.run(0)
    panel = notebook.output(0)
    expect(state(panel, "slow")).to_have_text("running")
    expect(panel.locator(".onb-graph [data-node]")).to_have_count(3)
    expect(panel.locator(".onb-graph")).to_contain_text("498 of 498 done")
    group = panel.get_by_role("button", name=re.compile(r"part \W498"))
    group.last.click()
    expect(group.last).to_have_attribute("aria-expanded", "true")
    assert panel.locator("tbody tr").count() < 60
    panel.get_by_label("find a command").fill("part_321")
    expect(state(panel, "part_321")).to_have_text("succeeded")
    expect(state(panel, "part_000")).to_be_hidden()
    notebook.run(1)
    expect(panel.locator(".onb-pill")).to_have_text("completed")


@pytest.mark.parametrize("theme", ["JupyterLab Light", "JupyterLab Dark"])
def test_the_theme_is_that_of_the_page(desk, theme):
    """Colours follow the theme, and axe finds no serious fault in either."""
    from playwright.sync_api import expect

    notebook = desk.open([FLOW, GO])
    notebook.command("apputils:change-theme", {"theme": theme})
    notebook.run(0)
    panel = notebook.output(0)
    expect(state(panel, "slow")).to_have_text("running")
    ground = panel.locator(".onb-panel").evaluate("(e) => getComputedStyle(e).backgroundColor")
    light = sum(map(int, re.findall(r"\d+", ground)[:3])) > 3 * 128
    assert light == (theme == "JupyterLab Light")
    notebook.run(1)
    expect(panel.locator(".onb-pill")).to_have_text("completed")


def test_notebook_7(desk):
    """The same panel in Notebook 7."""
    from playwright.sync_api import expect

    notebook = desk.open([FLOW, GO], front="notebook")
    notebook.run(0)
    panel = notebook.output(0)
    expect(state(panel, "slow")).to_have_text("running")
    notebook.run(1)
    expect(panel.locator(".onb-pill")).to_have_text("completed")
    assert not desk.refused


def test_voila(desk):
    """A dashboard of Voilà: the form starts a run, and its panel is live below it."""
    from playwright.sync_api import expect

    page = desk.voila([STEPS, "flow = Workflow('board', parameters={'rows': 5})\nflow.command(slow)\nflow"])
    page.get_by_role("button", name="Start").click()
    expect(page.locator('tr[data-row="slow"] .onb-state')).to_have_text("running")
    page.get_by_role("button", name="Pause").click()
    expect(page.locator(".onb-pill")).to_have_text("paused")
    page.get_by_role("button", name="Resume").click()
    (desk.server.root / "go").touch()
    expect(page.locator(".onb-pill")).to_have_text("completed")
    (desk.server.root / "go").unlink()
    # Voilà's own page asks for FontAwesome and MathJax, and does without.
    assert not [url for url in desk.refused if "fontawesome" not in url.lower() and "mathjax" not in url.lower()]
