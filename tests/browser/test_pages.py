"""The pages of the live panel in JupyterLab: trends drawn by plotly, gates with evidence, the log, ratings."""

from __future__ import annotations

import re

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
        " return window[Symbol.for('orchestrator_nb.plotly')] ? 0 : 1 }"
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
