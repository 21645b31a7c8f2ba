"""The picture of a run as views take it: parts that change only where something did, and a card of plain HTML."""

from __future__ import annotations

import json
import threading
import time
from html.parser import HTMLParser

import pytest

from orchestrator_nb import Workflow, attach
from orchestrator_nb.orchestrator.display.picture import A_SECOND, CHUNK, Picture
from orchestrator_nb.orchestrator.display.remaining import expected_seconds, remaining_seconds


class Texts(HTMLParser):
    """The texts and tags of a page; raises where a tag is not closed in order."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.texts: list[str] = []
        self.tags: list[str] = []

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.tags.append(tag)
        if tag not in ("br", "input"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def rows(picture: Picture) -> dict[str, list[object]]:
    names = [command[0] for command in picture.parts["plan"]["commands"]]
    found = [row for number in range(len(names)) for row in picture.parts.get(f"rows_{number}", ())]
    return dict(zip(names, found, strict=True))


def test_only_what_changed_is_named(project, until):
    """A view is told of the parts that differ from what it was told before, and of nothing else."""
    go = threading.Event()
    flow = Workflow("w")
    flow.command(lambda: 1, id="first")
    flow.command(lambda first: go.wait(60), id="slow", after="first")
    for number in range(3 * CHUNK):
        flow.command(lambda slow: 1, id=f"c{number}", after="slow")
    run = flow.start(wait=False, durability="process")
    until(lambda: run.state.counts.get("running") and run.state.commands["first"].state == "succeeded")
    picture = Picture(run)
    assert {"plan", "head", "rows_0", "rows_3", "log_0"} <= set(picture.look())
    shown = rows(picture)
    assert shown["first"][0] == "succeeded"
    assert shown["slow"][0] == "running"
    assert not picture.is_over
    assert set(picture.look()) <= {"head"}
    json.dumps(picture.parts)
    go.set()
    run.wait()
    picture.look()
    assert picture.is_over
    assert {row[0] for row in rows(picture).values()} == {"succeeded"}
    assert picture.parts["head"]["counts"] == {"succeeded": 2 + 3 * CHUNK}
    assert picture.look() == []


def test_a_run_shows_itself_as_a_card_without_scripts(project):
    """What a notebook keeps is well-formed HTML that says all that matters, with nothing in it that runs."""
    flow = Workflow("study", parameters={"day": "<b>"})
    flow.command(lambda: 1, id="load")

    @flow.command(after="load")
    def broken(load):
        raise ValueError("<script>alert(1)</script>")

    flow.command(lambda broken: 1, id="never")
    run = flow.start(check=False)
    page = Texts()
    page.feed(run._repr_html_())
    assert page.open == []
    assert not {"script", "iframe", "b>"} & set(page.tags)
    told = " ".join(page.texts)
    for text in ("study", "failed", "upstream failed", "ValueError: <script>alert(1)</script>", "flow.resume()"):
        assert text in told
    assert attach(run.id)._repr_html_().count("<tr>") == 1 + 3


def test_many_commands_are_folded_and_the_rest_is_counted(project):
    """The card of a large run is small: what is alike is one box, and rows that say nothing are left out."""
    flow = Workflow("wide")
    flow.command(lambda: 1, id="split")
    for number in range(200):
        flow.command(lambda split: 1, id=f"part_{number}", after="split")
    html = flow.run(durability="process") and attach()._repr_html_()
    assert len(html) < 60_000
    assert html.count("data-node=") == 2
    assert "and 141 more commands" in html


def test_a_workflow_shows_what_is_written_in_it(project):
    """Its parameters and its commands; one without commands says what is missing."""
    flow = Workflow("w", parameters={"rows": 5})
    flow.shell(["echo", "<hello>"], id="say")
    html = flow._repr_html_()
    assert "rows: integer = 5" in html
    assert "echo &lt;hello&gt;" in html
    assert "has no commands" in Workflow("none")._repr_html_()


def test_what_is_left_is_the_longer_of_work_and_way(project, until):
    """What commands took tells what others will take; nothing is said where nothing is known."""
    go = threading.Event()
    flow = Workflow("w", slots=1)
    flow.command(lambda: 1, id="a", duration=10)
    flow.command(lambda a: go.wait(60), id="b", after="a", duration=20)
    flow.command(lambda b: 1, id="c", after="b")
    run = flow.start(wait=False)
    until(lambda: run.state.counts.get("running") and run.state.commands["b"].state == "running")
    state = run.state
    expected = expected_seconds(state)
    assert expected["b"] == pytest.approx(20)
    assert expected["c"] > 0
    started = state.commands["b"].started
    assert remaining_seconds(state, now=started) == pytest.approx(20 + expected["c"])
    assert remaining_seconds(state, now=started + 15) == pytest.approx(5 + expected["c"])
    late = remaining_seconds(state, now=started + 100)
    assert late == pytest.approx(10 + expected["c"])
    go.set()
    run.wait()
    assert remaining_seconds(run.state, now=time.time()) == 0


def test_no_time_is_told_while_somebody_is_asked(project, until):
    """How long a run takes that waits for a person is not known, whatever its commands are expected to take."""
    flow = Workflow("asking")
    flow.command(lambda: 1, id="load", duration=50)

    @flow.command(after="load", duration=100, retries=0, escalate=True)
    def shaky(load):
        raise ConnectionError("no answer")

    run = flow.start(wait=False, decide="wait")
    until(lambda: any(decision.is_open for decision in run.decisions()))
    picture = Picture(run)
    until(lambda: picture.look() is not None and picture.parts["extras"]["decisions"])
    assert picture.parts["head"]["phase"] == "recovering"
    assert picture.parts["head"]["left"] is None
    assert [name for name, _ in picture.parts["cards"]] == ["shaky"]
    run.decide(1, "skip")
    run.wait(check=False)
    picture.look()
    assert picture.parts["extras"]["decisions"] == []
    assert picture.parts["cards"] == []


def test_long_lists_are_told_seldom_and_whole_at_the_end(project, until):
    """Hundreds of gates are not sent with each that is checked; when the run is over all of them are there."""
    go = threading.Event()
    flow = Workflow("gated", slots=4)
    for number in range(3 * A_SECOND):
        flow.command(lambda: {"rows": 1}, id=f"c{number:03}", gates=["rows > 0"])
    flow.command(lambda **_: go.wait(60), id="slow", after=[f"c{number:03}" for number in range(3 * A_SECOND)])
    run = flow.start(wait=False, durability="process")
    picture = Picture(run)
    begun, told = time.time(), 0
    while not (picture.state.commands and picture.state.commands["slow"].state == "running"):
        told += "extras" in picture.look()
        assert time.time() < begun + 50
    assert told <= 2 + (time.time() - begun) / 3  # the empty list, the first one, and then one in three seconds
    until(lambda: picture.look() is not None and {gate[2] for gate in picture.parts["extras"]["gates"]} == {"passed"})
    go.set()
    run.wait()
    picture.look()
    assert [gate[2] for gate in picture.parts["extras"]["gates"]] == ["passed"] * 3 * A_SECOND
