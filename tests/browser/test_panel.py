"""The live panel in real front ends: seen changing, clicked, reloaded, read by a screen reader's rules."""

from __future__ import annotations

import re
import subprocess
from importlib.resources import files

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


def test_what_is_expected_is_told_beside_what_is(desk):
    """A command tells its time against the time predicted, the run how much is left; neither without a prediction."""
    from playwright.sync_api import expect

    predicted = FLOW.replace("slow, after", "slow, duration=600, after").replace(
        'id="last"', 'id="last", duration=3000'
    )
    assert predicted.count("duration=") == 2
    unknown = FLOW.replace('"sales"', '"unheard-of"')  # other tests have run the workflow "sales"
    notebook = desk.open([predicted, unknown, GO])
    notebook.run(0)
    panel = notebook.output(0)
    time = panel.locator('tr[data-row="slow"] .onb-time')
    expect(time).to_have_text(re.compile(r"^(\d+ ms|\d+(\.\d)? s) of ~10:00$"))
    told = time.inner_text()
    expect(time).not_to_have_text(told)  # it goes on while nothing happens
    expect(panel.locator('tr[data-row="last"] .onb-time')).to_have_text("~50:00")
    expect(panel.locator(".onb-sum")).to_contain_text(re.compile(r"about (59|60) min left"))
    assert time.locator("i").get_attribute("style") == "width:50.0%"  # the command says how far it is
    notebook.run(1)
    plain = notebook.output(1)
    expect(state(plain, "slow")).to_have_text("running")
    expect(plain.locator('tr[data-row="slow"] .onb-time')).not_to_contain_text("~")
    notebook.run(2)
    for one in (panel, plain):
        expect(one.locator(".onb-pill")).to_have_text("completed")
        expect(one.locator(".onb-sum")).not_to_contain_text("left")


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
    notebook.page.keyboard.press("ArrowRight")
    expect(panel.get_by_role("tabpanel", name="Trends")).to_contain_text(re.compile("seconds|No run"))
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
def test_the_theme_is_that_of_the_page_and_axe_finds_no_fault(desk, theme):
    """Colours follow the theme; in either, live and at the end, there is no serious fault of accessibility."""
    from playwright.sync_api import expect

    gates = "['rmse < 3', {'gate': 'rmse < 1', 'blocking': False}]"
    plain, measured = 'lambda: 1, id="fetch"', f"lambda: context.metric('rmse', 2), id='fetch', gates={gates}"
    built = FLOW.replace(plain, measured).replace("run = flow.start()", f"{GO}; flow.run(); Path('go').unlink()")
    assert measured in built
    form = "Workflow.load(dict(workflow='x', parameters={'a': 1}, commands={'s': {'shell': ['ls']}}))"
    notebook = desk.open([built, "run = flow.start()", form, GO])
    notebook.command("apputils:change-theme", {"theme": theme})
    notebook.run(0)
    notebook.run(1)
    panel = notebook.output(1)
    expect(state(panel, "slow")).to_have_text("running")
    ground = panel.locator(".onb-panel").evaluate("(e) => getComputedStyle(e).backgroundColor")
    light = sum(map(int, re.findall(r"\d+", ground)[:3])) > 3 * 128
    assert light == (theme == "JupyterLab Light")
    assert faults(notebook.page) == []
    panel.get_by_role("tab", name="Log").click()
    expect(panel.locator(".onb-log")).to_contain_text("started")
    assert faults(notebook.page) == []
    panel.get_by_role("tab", name="Gates").click()
    expect(panel.locator('tr[data-gate="rmse < 1"]')).to_contain_text("failed, warns")
    assert faults(notebook.page) == []
    panel.get_by_role("tab", name="Trends").click()
    expect(panel.locator(".onb-trends .js-plotly-plot").first).to_be_visible()
    assert faults(notebook.page) == []
    panel.get_by_role("tab", name="Rating").click()
    form = panel.get_by_role("form", name="rate this run")
    form.get_by_role("radio", name="4 stars").check(force=True)
    form.get_by_label("Note").fill("steady enough")
    form.get_by_role("button", name="Rate").click()
    expect(panel.get_by_role("list", name="what was said of this run")).to_contain_text("steady enough")
    assert faults(notebook.page) == []
    notebook.run(2)
    expect(notebook.output(2).get_by_role("button", name="Start")).to_be_visible()
    notebook.run(3)
    expect(panel.locator(".onb-fixed svg.onb-graph")).to_be_visible()
    assert faults(notebook.page) == []
    notebook.command("apputils:change-theme", {"theme": "JupyterLab Light"})


def faults(page):
    """Return what axe finds seriously wrong in panels."""
    if not page.evaluate("() => Boolean(window.axe)"):
        page.evaluate((files("axe_playwright_python") / "axe.min.js").read_text(encoding="utf-8"))
    found = page.evaluate("async () => await axe.run({ include: [['.onb-panel']] })")
    assert len(found["passes"]) > 5
    return [
        f"{item['id']}: {node['html'][:200]} {node['failureSummary']}"
        for item in found["violations"]
        if item["impact"] in ("serious", "critical")
        for node in item["nodes"]
    ]


def test_a_decision_is_answered_by_button(desk):
    """What a person is asked is shown with what may be answered, and the answer is recorded."""
    from playwright.sync_api import expect

    asking = (
        "%%workflow asking --run\nrecovery: {escalation: {guided: 10m}}\ncommands:\n"
        "  load: {call: 'asked_steps:load', retries: 0}\n  use: {call: 'asked_steps:use', after: [load]}\n"
    )
    (desk.server.root / "asked_steps.py").write_text(
        "from pathlib import Path\n\n\ndef load():\n    if not Path('right').exists():\n"
        "        raise ValueError('9 is too much')\n    return 1\n\n\ndef use(load):\n    return load + 1\n"
    )
    notebook = desk.open(["%load_ext orchestrator_nb", asking])
    notebook.run(0)
    notebook.run(1)
    panel = notebook.output(1)
    asked = panel.get_by_role("region", name="decision 1")
    expect(asked).to_contain_text("load")
    assert faults(notebook.page) == []
    (desk.server.root / "right").touch()
    asked.get_by_role("button", name="retry").click()
    expect(panel.locator(".onb-pill")).to_have_text("completed")
    (desk.server.root / "right").unlink()


def test_a_rollback_is_tried_and_done_by_button(desk):
    """Checkpoints are listed; what would change is shown before anything does; what was undone runs again."""
    from playwright.sync_api import expect

    place = desk.server.root / "kept"
    place.mkdir(exist_ok=True)
    (place / "kept_steps.py").write_text(
        "from pathlib import Path\n\n\ndef clean():\n    Path(__file__).with_name('clean.txt').write_text('clean')\n\n\n"
        "def model(clean):\n    Path(__file__).with_name('model.txt').write_text('model')\n"
    )
    (place / "kept.yaml").write_text(
        "workflow: kept\ncommands:\n  clean: {call: 'kept_steps:clean', writes: [clean.txt]}\n"
        "  model: {call: 'kept_steps:model', after: [clean], writes: [model.txt]}\n"
    )
    subprocess.run(["git", "init", "-q"], cwd=place, check=True)
    notebook = desk.open(["%load_ext orchestrator_nb", "%workflow run kept/kept.yaml", "%workflow attach"])
    notebook.run(0)
    notebook.run(1)
    notebook.run(2)
    panel = notebook.output(2)
    expect(panel.locator(".onb-pill")).to_have_text("completed")
    panel.get_by_role("tab", name="Checkpoints").click()
    panel.get_by_role("button", name="what a rollback to clean would change").click()
    expect(panel.get_by_label("what would change", exact=True)).to_contain_text("model")
    assert (place / "model.txt").exists()
    panel.get_by_role("button", name="Roll back").click()
    expect(panel.locator(".onb-say[role=status]")).to_contain_text("model")
    panel.get_by_role("tab", name="Commands").click()
    expect(state(panel, "model")).to_have_text(re.compile("pending|ready"))
    assert not (place / "model.txt").exists()
    panel.get_by_role("tab", name="Log").click()
    lines = panel.locator(".onb-log li")
    expect(lines.filter(has_text=re.compile(r"checkpoint \S+ of \d+ files?"))).not_to_have_count(0)
    expect(lines.filter(has_text=re.compile(r"rolled back .*: \d+ files?, \d+ commands? to run again"))).to_have_count(
        1
    )
    panel.get_by_role("button", name="Resume").click()
    expect(panel.locator(".onb-pill")).to_have_text("completed")
    assert (place / "model.txt").exists()


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
