"""The pages of the live panel in JupyterLab: trends drawn by plotly, gates with evidence, the log, ratings."""

from __future__ import annotations

import re
import subprocess
import sys
from importlib.resources import files
from urllib.parse import unquote, urlsplit

import nbformat
import pytest

from orchestrator_nb.analytics.history import History

RUNS = """\
%load_ext orchestrator_nb
from orchestrator_nb import Workflow, attach, context
flow = Workflow("judged", parameters={"rmse": 2.0})

def kept(subject):
    from orchestrator_nb import Verdict
    return Verdict(holds=True, evidence=subject.keep("all is well", "evidence.txt"))

@flow.command(gates=["rmse < 9", {"gate": "rmse < 1", "blocking": False}, kept])
def model(rmse):
    context.metric("rmse", rmse)
    return {"rmse": rmse}

for value in (3.0, 2.0, 2.5): flow.start(wait=True, rmse=value)
"""


def test_trends_are_drawn_by_plotly_and_follow_the_theme(desk):
    """Figures are there at once; plotly is loaded from the kernel alone, once for all panels, and takes the theme's colours."""
    from playwright.sync_api import expect

    notebook = desk.open([RUNS, "%workflow attach", "%workflow attach"])
    for number in range(3):
        notebook.run(number)
    wanted = notebook.page.evaluate(
        "() => { const plain = URL.createObjectURL; window.__large = 0;"
        " URL.createObjectURL = (blob) => { window.__large += blob.size > 1e6; return plain.call(URL, blob) };"
        " return window[Symbol.for('orchestrator_nb.plotly')]?.loading ? 0 : 1 }"
    )
    for number in (1, 2):
        panel = notebook.output(number)
        panel.get_by_role("tab", name="Trends").click()
        trends = panel.get_by_role("tabpanel", name="Trends")
        expect(trends.get_by_role("region", name="Performance")).to_contain_text("Duration of runs")
        expect(trends.get_by_role("region", name="Quality")).to_contain_text("rmse over time")
        expect(trends.get_by_role("img", name=re.compile("^rmse over time: .* latest of 3 runs"))).to_be_visible()
        expect(trends.locator(".js-plotly-plot").first).to_be_visible()
        expect(trends.locator(".onb-chart")).to_have_count(0)
    assert notebook.page.evaluate("() => window.__large") == wanted
    ink = trends.locator(".xtick text").first
    light = ink.evaluate("(e) => getComputedStyle(e).fill")
    notebook.command("apputils:change-theme", {"theme": "JupyterLab Dark"})
    notebook.wait(
        "(light) => getComputedStyle([...document.querySelectorAll('.onb-trends .xtick text')].pop()).fill !== light",
        light,
    )
    notebook.command("apputils:change-theme", {"theme": "JupyterLab Light"})
    assert not desk.refused


def test_trends_are_drawn_where_the_kernel_of_another_panel_hangs(desk):
    """A panel that waits for plotly in vain keeps no other one from having it of its own kernel, and has it then, too."""
    from playwright.sync_api import expect

    hangs = "import threading, orchestrator_nb.analytics.page as page; page.plotly_js = threading.Event().wait"
    first = desk.open([RUNS, hangs, "%workflow attach"])
    first.page.evaluate("() => delete window[Symbol.for('orchestrator_nb.plotly')]")
    for number in range(3):
        first.run(number)
    first.output(2).get_by_role("tab", name="Trends").click()
    expect(first.output(2).locator(".onb-trends .onb-chart").first).to_be_visible()
    second = desk.open([RUNS, "%workflow attach"])
    for number in range(2):
        second.run(number)
    second.output(1).get_by_role("tab", name="Trends").click()
    expect(second.output(1).locator(".onb-trends .js-plotly-plot").first).to_be_visible()
    first.command("docmanager:open", {"path": first.path})
    expect(first.output(2).locator(".onb-trends .js-plotly-plot").first).to_be_visible()


def test_gates_and_their_evidence_are_listed_and_told_in_the_log(desk):
    """Each gate has its verdict, what was found and a link to what was kept; the log tells gates beside the commands."""
    from playwright.sync_api import expect

    notebook = desk.open([RUNS, "%workflow attach"])
    notebook.run(0)
    notebook.run(1)
    panel = notebook.output(1)
    panel.get_by_role("tab", name="Gates").click()
    held = panel.locator('tr[data-gate="rmse < 9"]')
    expect(held).to_contain_text("passed")
    expect(held).to_contain_text("found 2.5")
    expect(panel.locator('tr[data-gate="rmse < 1"]')).to_contain_text("failed, warns")
    link = panel.get_by_role("link", name=re.compile("^evidence of ")).first
    with notebook.page.context.expect_page() as opened:
        link.click()
    assert "/artifacts/" in opened.value.url
    opened.value.close()
    panel.get_by_role("tab", name="Log").click()
    expect(panel.locator(".onb-log")).to_contain_text("gate rmse < 9: passed")
    expect(panel.locator(".onb-log")).to_contain_text("gate rmse < 1: failed, a warning only")


def test_a_row_links_to_its_output_notebook(desk):
    """The link is to the notebook as it was executed, below the server's own folder; a row without one has no link."""
    from playwright.sync_api import expect

    source = desk.write(["answer = 6 * 7", "answer"])
    yaml = f"%%workflow linked --run\ncommands:\n  sums: {{notebook: {source}}}\n  last: {{shell: [{sys.executable}, -c, pass], after: [sums]}}\n"
    notebook = desk.open(["%load_ext orchestrator_nb", yaml, "%workflow attach"])
    for number in range(2):
        notebook.run(number)
    expect(notebook.output(1).locator(".onb-pill")).to_have_text("completed")
    notebook.run(2)
    panel = notebook.output(2)
    link = panel.locator('tr[data-row="sums"]').get_by_role("link", name="output notebook of sums")
    expect(link).to_be_visible()
    expect(panel.locator('tr[data-row="last"]').get_by_role("link")).to_have_count(0)
    path = unquote(urlsplit(link.get_attribute("href")).path).partition("/lab/tree/")[2]
    written = nbformat.read(desk.server.root / path, as_version=4)
    assert [cell.outputs[-1].data["text/plain"] for cell in written.cells if cell.get("outputs")] == ["42"]
    with notebook.page.context.expect_page() as opened:
        link.click()
    assert unquote(opened.value.url).partition("/lab/tree/")[2].startswith(path)
    opened.value.close()


def test_a_run_is_rated_in_the_panel(desk):
    """Stars, note, author and role by keyboard alone; they are kept in the store, and shown below the form."""
    from playwright.sync_api import expect

    notebook = desk.open([RUNS, "run = %workflow attach"])
    notebook.run(0)
    notebook.run(1)
    panel = notebook.output(1)
    panel.get_by_role("tab", name="Rating").click()
    form = panel.get_by_role("form", name="rate this run")
    form.get_by_role("radio", name="1 star").focus()
    for _ in range(3):
        notebook.page.keyboard.press("ArrowRight")
    expect(form.get_by_role("radio", name="4 stars")).to_be_checked()
    form.get_by_label("Author").fill("Ada")
    form.get_by_label("Role").fill("reviewer")
    form.get_by_label("Note").fill("dd aa: steady enough")
    form.get_by_role("button", name="Rate").focus()
    notebook.page.keyboard.press("Enter")
    said = panel.get_by_role("list", name="what was said of this run")
    expect(said).to_contain_text("Ada, reviewer")
    expect(said.get_by_role("img", name="4 of 5 stars")).to_be_visible()
    expect(form.get_by_label("Note")).to_have_value("")
    kept = History(desk.server.root / "runs").ratings().iloc[-1]
    assert (kept["stars"], kept["note"], kept["role"]) == (4, "dd aa: steady enough", "reviewer")
    form.get_by_role("button", name="Rate").click()
    expect(panel.locator(".onb-say[role=status]")).to_contain_text("found neither")


def test_a_saved_notebook_shows_its_runs_without_a_kernel(desk, browser):
    """Opened again without running anything, and as nbconvert's page: the card is there, and nothing asks a network."""
    from playwright.sync_api import expect

    notebook = desk.open([RUNS, "run = flow.start()", "flow.plan()", "%workflow trends rmse"])
    notebook.run(0)
    notebook.run(1)
    expect(notebook.output(1).locator(".onb-pill")).to_have_text("completed")
    notebook.wait(
        "() => !JSON.stringify(window.jupyterapp.shell.currentWidget.content.widgets.map((w) => w.model.outputs.toJSON()))"
        ".includes('widget-view')"
    )
    for number in (2, 3):
        notebook.run(number)
    expect(notebook.output(3).locator(".js-plotly-plot")).to_be_visible()
    notebook.save()
    desk.server.end_kernels()
    notebook.load()
    card = notebook.output(1)
    expect(card.locator(".onb-pill")).to_have_text("completed")
    expect(card.locator("svg [data-node=model]")).to_have_attribute("data-state", "succeeded")
    card.locator("summary", has_text="Log").click()
    expect(card.get_by_text("gate rmse < 9: passed")).to_be_visible()
    assert card.get_by_role("button").count() == 0
    stranger = nbformat.read(desk.server.root / notebook.path, as_version=4)
    for output in stranger.cells[1].outputs + stranger.cells[2].outputs:
        output["metadata"]["changed"] = "by somebody"  # the signature is that of other outputs
    nbformat.write(stranger, desk.server.root / f"not-trusted-{notebook.path}")
    close = "() => { const w = window.jupyterapp.shell.currentWidget; w.context.model.dirty = false; w.dispose() }"
    notebook.page.evaluate(close)  # with its style sheets
    bare = type(notebook)(desk.server, notebook.page, f"not-trusted-{notebook.path}", "lab")
    words = bare.output(1)
    expect(words).to_contain_text(re.compile(r"judged ✔ completed · judged-\S+"))
    expect(words.locator("tr", has_text="model").first).to_contain_text("✔ succeeded")
    assert words.locator(".onb-panel svg").count() == 0
    assert "the graph of" not in words.inner_text()
    assert "judged: 1 command" in bare.output(2).inner_text()
    place = desk.server.root / notebook.path
    command = [sys.executable, "-m", "nbconvert", "--to", "html", str(place)]
    subprocess.run(command, check=True, capture_output=True, timeout=120)
    page = browser.new_page()
    asked = []
    page.route(lambda url: url.startswith("http"), lambda route: (asked.append(route.request.url), route.abort()))
    page.goto(place.with_suffix(".html").as_uri(), wait_until="domcontentloaded")
    expect(page.locator(".onb-pill").last).to_have_text("completed")
    expect(page.locator("svg [data-node=model]").last).to_be_visible()
    expect(page.locator("svg.onb-chart[aria-label='rmse over time']")).to_be_visible()
    assert not [url for url in asked if "mathjax" not in url.lower() and "require" not in url.lower()]
    page.close()


def test_nothing_moves_where_motion_is_not_wanted(desk):
    """What runs pulses once a second, unless the reader's system asks for less motion; nothing is animated frame by frame."""
    from playwright.sync_api import expect

    waits = "from pathlib import Path\nimport time\nflow = Workflow('calm')\ndef slow():\n    while not Path('calm-go').exists(): time.sleep(0.02)\n"
    notebook = desk.open([RUNS, f"{waits}flow.command(slow)\nrun = flow.start()"])
    (desk.server.root / "calm-go").unlink(missing_ok=True)
    notebook.run(0)
    notebook.run(1)
    panel = notebook.output(1)
    expect(panel.locator('[data-node="slow"]')).to_have_attribute("data-state", "running")
    sign = panel.locator('[data-node="slow"] .sign')
    live = panel.locator(".onb-panel")
    for beat in ("1", "0", "1"):
        expect(live).to_have_attribute("data-beat", beat)
        assert sign.evaluate("(e) => getComputedStyle(e).opacity") == "1"
    try:
        notebook.page.emulate_media(reduced_motion="no-preference")
        for opacity in ("0.4", "1", "0.4"):
            expect(sign).to_have_css("opacity", opacity)
        assert live.evaluate("(e) => e.getAnimations({ subtree: true }).length") == 0
    finally:
        notebook.page.emulate_media(reduced_motion="reduce")
        (desk.server.root / "calm-go").touch()
    expect(panel.locator(".onb-pill")).to_have_text("completed")


@pytest.mark.parametrize("theme", ["JupyterLab Light", "JupyterLab Dark"])
def test_a_dashboard_is_narrowed_in_the_notebook(desk, theme):
    """Controls draw every part anew; plotly has every point, also those of one run; axe finds no serious fault."""
    from playwright.sync_api import expect

    name = f"judged-{theme.split()[-1].lower()}"
    astray = RUNS.replace('Workflow("judged"', f'Workflow("{name}"').replace(
        "for value in", "flow.command(lambda: context.metric('rmse', 4), id='other')\nfor value in"
    )
    assert "id='other'" in astray
    notebook = desk.open([astray, "%workflow dashboard quality"])
    notebook.command("apputils:change-theme", {"theme": theme})
    notebook.run(0)
    notebook.run(1)
    shown = notebook.output(1)
    expect(shown.locator(".js-plotly-plot").first).to_be_visible()
    shown.get_by_label("Workflow").select_option(name)
    plots = "(e) => [...e.querySelectorAll('.js-plotly-plot')].map((plot) => [plot.data.flatMap((trace) => trace.ids ?? []).length,"
    plots += " plot.data.filter((trace) => trace.name === 'run with deviations').map((trace) => trace.y.length)])"
    expect(shown.get_by_text("3 runs.")).to_be_visible()
    expect(shown).to_contain_text("of 3 runs")
    found = shown.evaluate(plots)
    assert all(ids == 0 for ids, _ in found), found
    assert [6] in [crosses for _, crosses in found], found
    notebook.page.evaluate((files("axe_playwright_python") / "axe.min.js").read_text(encoding="utf-8"))
    told = notebook.page.evaluate(
        "async (e) => (await axe.run({ include: [e] })).violations.filter((v) => ['serious', 'critical'].includes(v.impact))"
        ".flatMap((v) => v.nodes.map((n) => v.id + ': ' + n.html.slice(0, 200)))",
        shown.element_handle(),
    )
    notebook.command("apputils:change-theme", {"theme": "JupyterLab Light"})
    assert told == []
    assert not desk.refused
    (output,) = notebook.save().cells[1].outputs  # once, and with words for pages that run nothing
    saved = output["data"]
    assert "of 3 runs" in saved["text/html"]
    assert "<svg" in saved["text/html"]


def test_a_narrow_page_shows_all_that_matters(desk):
    """On the width of a telephone states are whole, all tabs can be reached, and nothing is wider than the panel."""
    from playwright.sync_api import expect

    thin = "%load_ext orchestrator_nb\nfrom orchestrator_nb import Workflow\nflow = Workflow('thin')\n"
    thin += "flow.command(lambda: 1, id='a_command_with_a_long_name')\nrun = flow.start()"
    notebook = desk.open([thin, "run.wait()\n%workflow attach"])
    wide = notebook.page.viewport_size
    notebook.page.set_viewport_size({"width": 620, "height": 1000})
    try:
        notebook.run(0)
        notebook.run(1)
        panel = notebook.output(1).locator("section.onb-panel")
        expect(panel.locator(".onb-pill")).to_have_text("completed")
        expect(panel.get_by_role("columnheader", name="Latest")).to_be_hidden()
        state = panel.locator('tr[data-row="a_command_with_a_long_name"] td').nth(1)
        expect(state).to_contain_text("succeeded")
        assert state.evaluate("(cell) => cell.scrollWidth <= cell.clientWidth")
        for name in ("Commands", "Log", "Trends", "Rating"):
            box = panel.get_by_role("tab", name=name).bounding_box()
            frame = panel.bounding_box()
            assert box["x"] + box["width"] <= frame["x"] + frame["width"], name
    finally:
        notebook.page.set_viewport_size(wide)
