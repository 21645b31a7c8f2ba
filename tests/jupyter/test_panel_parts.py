"""The panel and the launch form without a browser: what they send, what clicks do, what they leave."""

from __future__ import annotations

import gzip
import json
import shutil
import threading
from xml.etree import ElementTree

import pytest

from orchestrator_nb import History, Workflow, attach, context
from orchestrator_nb.analytics.page import plotly_js
from orchestrator_nb.journal.store import JOURNAL
from orchestrator_nb.jupyter import frontend
from orchestrator_nb.jupyter.clicks import ACTS
from orchestrator_nb.jupyter.launch import Launch
from orchestrator_nb.jupyter.panel import Panel, hands
from orchestrator_nb.jupyter.publisher import INTERVAL, Publisher
from orchestrator_nb.jupyter.verbs import do


class Counter:
    """Asked so many times, then done; `fails` so many times in a row before each of them."""

    def __init__(self, times, *, fails=0):
        self.times, self.fails, self.failed, self.threads, self.told = times, fails, 0, set(), []

    def publish(self):
        self.threads.add(threading.get_ident())
        if self.failed < self.fails:
            self.failed += 1
            raise ValueError("broken")
        self.failed = 0
        self.times -= 1
        return self.times > 0

    def left(self, why):
        self.told.append(why)


def test_the_publisher_is_there_as_long_as_it_is_needed(until, caplog):
    """One thread for all; what goes on failing is left alone, is told so, and takes nothing with it; then the thread is
    gone."""
    publisher = Publisher(pauses=(0.01, 0.02))
    good, shaky, bad = Counter(3), Counter(3, fails=2), Counter(3, fails=3)
    for each in (bad, shaky, good):
        publisher.add(each)
    until(lambda: not publisher.is_busy)
    assert (good.times, shaky.times, bad.times) == (0, 0, 3)
    assert good.threads == bad.threads == shaky.threads
    assert (good.told, shaky.told, bad.told) == ([], [], ["ValueError: broken"])
    assert [record.message for record in caplog.records if record.levelname == "WARNING"] == [
        "a panel is left as it is, its run goes on; show it again with %workflow attach: ValueError: broken"
    ]
    publisher.add(again := Counter(1))
    until(lambda: not publisher.is_busy)
    assert again.times == 0
    assert INTERVAL >= 0.2


@pytest.fixture
def slow(project, until):
    """A run whose first command waits for an event, with that event."""
    go = threading.Event()
    flow = Workflow("w", parameters={"day": "2026-01-01"})
    flow.command(lambda: go.wait(60), id="slow")
    flow.command(lambda slow: 1, id="last", after="slow")
    run = flow.start(wait=False)
    until(lambda: run.state.counts.get("running"))
    yield run, go
    go.set()
    run.wait(check=False)


def test_clicks_are_done_elsewhere_and_their_outcome_is_shown(slow, until):
    """A click returns at once; what it came to is a part of the panel, and what goes wrong is said there."""
    run, go = slow
    panel = Panel(run)
    panel._heard({"do": "pause"})
    until(lambda: run.state.run.state == "paused")
    panel._heard({"do": "select", "command": "slow"})
    until(lambda: panel.publish() and panel.parts["detail"])
    assert panel.parts["detail"]["state"] == "running"
    assert panel.widget.get_state()["detail"] == panel.parts["detail"]
    panel._heard({"do": "select", "command": "nobody"})
    until(lambda: panel.publish() and panel.parts["said"])
    assert panel.parts["said"]["wrong"]
    assert "nobody" in panel.parts["said"]["text"]
    panel._heard({"do": "nothing that there is"})
    panel._heard({"do": "resume"})
    until(lambda: run.state.run.state == "executing")
    go.set()
    run.wait()
    until(lambda: hands._thread is None, seconds=60)


def test_the_end_is_left_as_plain_html(slow, until):
    """The last state is always sent, and then the panel is a card where it was put."""
    run, go = slow
    left = []
    panel = Panel(run)
    panel.put(left.append)
    go.set()
    run.wait()
    until(lambda: left)
    assert "completed" in left[0]
    assert panel.parts["head"]["counts"] == {"succeeded": 2}
    assert panel.widget.get_state(["head"]) == {"head": panel.parts["head"]}


def test_a_panel_that_could_not_read_for_a_moment_makes_good_for_it(slow, until, monkeypatch):
    """While the journal cannot be read nothing is shown; then everything is, also what was not sent at the time."""
    run, _ = slow
    twin = run.folder.parent / "twin"  # as another process sees it: its owner does not notice what is done to it
    shutil.copytree(run.folder, twin)
    shutil.rmtree(twin / "owner", ignore_errors=True)
    panel = Panel(attach(twin.name), stay=True)
    sent = []
    panel.widget.send_parts = lambda names: sent.append(set(names))
    publisher = Publisher(pauses=(0.05,) * 100)
    journal, away = twin / JOURNAL, twin / "away"
    journal.rename(away)
    asked = []
    plain = panel.publish
    monkeypatch.setattr(panel, "publish", lambda: asked.append(1) or plain())
    publisher.add(panel)
    until(lambda: len(asked) > 2 and panel._behind)
    assert sent == []
    away.rename(journal)
    until(lambda: sent)
    assert sent[0] == set(panel.parts)
    assert not panel._behind
    panel.left("OSError: gone")
    assert sent[-1] == {"said"}
    assert f"show it again with %workflow attach {twin.name}" in panel.parts["said"]["text"]
    panel._stay = False
    panel.picture._owned = False
    publisher._published.clear()
    until(lambda: not publisher.is_busy)


def test_trends_are_figures_over_the_runs_of_the_workflow(project):
    """Performance, quality and checkpoints, each drawn by plotly and as SVG; in the magic with frames."""
    flow = Workflow("w", parameters={"rmse": 1.0})

    @flow.command(gates=["rmse < 9"])
    def model(rmse):
        context.metric("rmse", rmse)

    for value in (3.0, 2.0, 2.5):
        run = flow.start(wait=True, rmse=value)
    (found,) = ACTS["trends"](run, {}).values()
    titles = {chapter["title"]: [one["title"] for one in chapter["figures"]] for chapter in found["chapters"]}
    assert titles["Performance"] == ["Duration of runs", "Efficiency and overhead"]
    assert titles["Quality"][:2] == ["rmse over time", "rmse against duration of the run"]
    assert "Gates" in titles["Quality"]
    trend = found["chapters"][1]["figures"][0]
    assert trend["spec"]["data"][0]["y"] == [3.0, 2.0, 2.5]
    assert "2.5 in the latest of 3 runs" in trend["text"]
    assert "Its gate asks for < 9. The dashed line is what it asks for." in trend["text"]
    (bound,) = [trace for trace in trend["spec"]["data"] if trace["meta"]["role"] == "threshold"]
    assert bound["y"] == [9.0, 9.0, 9.0]
    drawn = ElementTree.fromstring(trend["svg"])
    assert drawn.get("aria-label") == "rmse over time"
    assert len(drawn.findall("{http://www.w3.org/2000/svg}circle")) == 3
    json.dumps(found, allow_nan=False)
    trends, _ = do("trends", ["rmse", "--workflow", "w"], {})
    assert list(trends.frame["value"]) == [3.0, 2.0, 2.5]
    assert [figure.title for figure in trends.figures] == ["rmse over time"]
    whole, name = do("trends", ["--to", "seen"], {})
    assert name == "seen"
    assert [figure.title for figure in whole.figures][:3] == [*titles["Performance"], "rmse over time"]
    assert list(whole.frame.columns) == ["run", "workflow", "command", "at", "value"]
    assert "Duration of runs: " in repr(whole)
    assert whole._repr_html_().count("<svg") == len(whole.figures)


def test_plotly_is_sent_packed_and_only_when_it_is_asked_for(slow, until):
    """Its text is no part of the panel's state; who asks gets it once, as one buffer."""
    run, _ = slow
    panel = Panel(run)
    sent = []
    panel.widget.send = lambda content, buffers: sent.append((content, buffers))
    panel._heard({"do": "plotly"})
    until(lambda: panel.publish() and sent)
    ((content, buffers),) = sent
    assert content == {"is": "plotly"}
    assert gzip.decompress(buffers[0]).decode() == plotly_js()
    assert len(buffers[0]) < 2_000_000
    assert "" not in panel.parts


def test_a_run_is_rated_as_the_verb_does_it(slow, until):
    """Stars, note, author and role are kept in the store and shown, the latest first; nothing said is refused there."""
    run, _ = slow
    panel = Panel(run)
    panel._heard({"do": "rate", "stars": 4, "note": "good", "author": "Ada", "role": "reviewer", "about": ""})
    until(lambda: panel.publish() and panel.parts["ratings"])
    panel._heard({"do": "rate", "stars": None, "note": "late", "author": "", "role": ""})
    until(lambda: panel.publish() and len(panel.parts["ratings"]["given"]) == 2)
    kept = History().ratings()
    assert list(kept["stars"].dropna()) == [4]
    assert list(kept["note"]) == ["good", "late"]
    assert [item["note"] for item in panel.parts["ratings"]["given"]] == ["late", "good"]
    assert panel.parts["ratings"]["given"][1]["role"] == "reviewer"
    assert panel.parts["ratings"]["given"][0]["author"] == panel.parts["ratings"]["user"]
    panel._heard({"do": "rate", "stars": None, "note": ""})
    until(lambda: panel.publish() and panel.parts["said"])
    assert "found neither" in panel.parts["said"]["text"]


def test_a_form_has_a_field_for_each_type(project, until):
    """The type decides the field, the default its value; what comes back is what a run takes."""
    flow = Workflow.load({
        "workflow": "form",
        "parameters": {
            "text": "a", "number": 5, "part": 0.5, "on": True, "day": {"type": "date", "default": "2026-01-31"},
            "mode": {"choices": ["fast", "exact"], "default": "exact"}, "many": [1, 2],
            "wanted": {"type": "integer", "required": True},
        },
        "commands": {"one": {"shell": ["python", "-c", "pass"]}},
    })  # fmt: skip
    form = Launch(flow)
    kinds = {name: type(field).__name__ for name, field in form.fields.items()}
    assert kinds == {
        "text": "Text", "number": "IntText", "part": "FloatText", "on": "Checkbox", "day": "DatePicker",
        "mode": "Dropdown", "many": "Text", "wanted": "Text",
    }  # fmt: skip
    given, texts = form.values()
    assert "wanted" not in given
    form._clicked(form._start)
    until(lambda: form._open == 0)
    assert "&quot;wanted&quot; is missing" in form.note.value
    form.fields["wanted"].value = "7"
    given, texts = form.values()
    assert texts == {"many", "wanted"}
    planned = flow.start(wait=True, parameters=given, text_parameters=texts)
    assert planned.state.run.parameters == {
        "text": "a", "number": 5, "part": 0.5, "on": True, "day": "2026-01-31", "mode": "exact", "many": [1, 2],
        "wanted": 7,
    }  # fmt: skip
    form._clicked(form._start)
    until(lambda: form._open == 0 and form.runs.children and "completed" in getattr(form.runs.children[0], "value", ""))


@pytest.mark.parametrize(
    ("parent", "environ", "live"),
    [
        ({"metadata": {"cellId": "a"}, "content": {}}, {}, True),
        ({"metadata": {}, "content": {"allow_stdin": True}}, {}, True),
        ({"metadata": {}, "content": {"allow_stdin": False}}, {}, False),
        ({"metadata": {}, "content": {}}, {"SERVER_SOFTWARE": "voila/0.5.13"}, True),
        ({"metadata": {"cellId": "a"}, "content": {}}, {frontend.SWITCH: "off"}, False),
        ({"metadata": {}, "content": {}}, {frontend.SWITCH: "on"}, True),
    ],
)
def test_who_looks_is_told_by_the_request(shell, monkeypatch, parent, environ, live):
    """Front ends send a cell's id or take input, programs do neither; Voilà names itself; the switch settles it."""
    assert not frontend.is_live(environ)  # a terminal
    monkeypatch.setattr(type(shell), "kernel", object(), raising=False)
    monkeypatch.setattr(type(shell), "get_parent", lambda self: parent, raising=False)
    assert frontend.is_live(environ) is live


def test_check_reads_lists_mappings_and_required_values_and_runs_nothing(project, until):
    """What is typed is read as its type: the plan is shown, or what is wrong with it; no run is made either way."""
    flow = Workflow.load({
        "workflow": "checked",
        "parameters": {
            "many": [1, 2],
            "options": {"type": "object", "default": {"depth": 3}},
            "wanted": {"type": "list", "required": True},
        },
        "commands": {"one": {"shell": ["python", "-c", "pass"]}},
    })  # fmt: skip
    form = Launch(flow)
    assert form.fields["many"].value == "[1, 2]"
    assert form.fields["options"].value == '{"depth": 3}'
    assert form.fields["wanted"].placeholder == "list, to be given"

    def checked():
        form.check.click()
        until(lambda: form._open == 0)
        return form.note.value

    assert "&quot;wanted&quot; is missing" in checked()
    form.fields["wanted"].value = '["a", "b"]'
    assert "checked: 1 command" in checked()
    form.fields["options"].value = "[1]"
    said = checked()
    assert 'data-state="failed"' in said
    assert "/parameters/options: the value does not fit; found a list; expected a mapping" in said
    form.fields["options"].value = '{"depth": 4}'
    assert "checked: 1 command" in checked()
    form.fields["many"].value = '{"a": 1}'
    assert "/parameters/many: " in checked()
    assert not len(History().runs())


def test_a_widget_that_somebody_has_closed_is_no_failure(slow):
    """Nobody sees it any more: nothing is sent, and nobody is told of a panel that fails."""
    run, _ = slow
    panel = Panel(run, stay=True)
    panel.widget.close()
    panel._behind = True  # everything is to be sent
    assert panel.publish()
    assert not panel._behind
