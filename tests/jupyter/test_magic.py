"""The magic in a shell without a front end: what it gives, what it says, what it refuses."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from IPython.core.error import UsageError as NotUsed

from orchestrator_nb import DefinitionError, RunFailed, RunResult, Workflow, attach
from orchestrator_nb.analytics.history import History
from orchestrator_nb.errors import UsageError
from orchestrator_nb.jupyter.completion import complete
from orchestrator_nb.jupyter.magic import help_text, variable
from orchestrator_nb.orchestrator.preview import Preview
from orchestrator_nb.orchestrator.verbs import VERBS

STEPS = "def load(day='none'): print('loading'); return [day]\n\n\ndef count(load): return len(load)\n"
YAML = """\
parameters: {day: 2026-01-01}
commands:
  load: {call: 'steps:load', parameters: {day: '${{ parameters.day }}'}}
  count: {call: 'steps:count', after: [load]}
"""


@pytest.fixture
def steps(shell, project):
    """The shell, with a module of functions in its folder."""
    (project / "steps.py").write_text(STEPS)
    return shell


def test_a_cell_defines_a_workflow_and_binds_it(steps):
    """The YAML in the cell is the workflow, named as the magic says, and it goes on as an object."""
    flow = steps.run_cell_magic("workflow", "day-report", YAML)
    assert isinstance(flow, Workflow)
    assert flow.name == "day-report"
    assert steps.user_ns["day_report"] is flow
    assert flow.run(day="2026-01-02").outputs["load"] == ["2026-01-02"]


def test_run_waits_where_nobody_looks_and_gives_the_result(steps):
    """Parameters are given as papermill has them; the result is what the line gives and what the variable gets."""
    steps.run_cell_magic("workflow", "sales", YAML)
    result = steps.run_line_magic("workflow", "run sales -p day 2026-03-04 --to found")
    assert isinstance(result, RunResult)
    assert result.outputs["load"] == ["2026-03-04"]
    assert steps.user_ns["found"] is result
    started = steps.run_cell_magic("workflow", "sales --run -p day 2026-05-06", YAML)
    assert started.outputs["load"] == ["2026-05-06"]


def test_a_workflow_in_a_file_is_run_and_planned(steps, project):
    """What the command line takes, the magic takes, too."""
    (project / "sales.yaml").write_text(f"workflow: sales\n{YAML}")
    plan = steps.run_line_magic("workflow", "plan sales.yaml -p day 2026-03-04")
    assert isinstance(plan, Preview)
    assert plan.parameters == {"day": "2026-03-04"}
    assert "<svg" in plan._repr_html_()
    assert steps.run_line_magic("workflow", "run sales.yaml").succeeded


def test_names_in_the_line_are_replaced(steps, project):
    """A line takes values of the session as other magics do."""
    (project / "sales.yaml").write_text(f"workflow: sales\n{YAML}")
    steps.user_ns["day"] = "2026-07-08"
    done = steps.run_cell("found = %workflow run sales.yaml -p day $day")
    done.raise_error()
    assert steps.user_ns["found"].outputs["load"] == ["2026-07-08"]


def test_a_line_that_ends_in_a_semicolon_shows_nothing(steps, project):
    """As for any expression of IPython."""
    (project / "sales.yaml").write_text(f"workflow: sales\n{YAML}")
    assert steps.run_line_magic("workflow", "plan sales.yaml;") is None


def test_a_mistake_is_said_with_the_line_of_the_cell(steps):
    """The first line of the cell is that of the magic, and mistakes count from there; the cell has the number that the
    notebook shows beside it."""
    steps.run_cell("1", store_history=True)
    wrong = "%%workflow sales\ncommands:\n  load: {call: 'steps:load', afterr: [x]}\n"
    done = steps.run_cell(wrong, store_history=True)
    assert isinstance(done.error_in_exec, DefinitionError)
    (mistake,) = done.error_in_exec.mistakes
    assert (mistake.file, mistake.line) == (f"Cell In[{done.execution_count}]", 3)
    assert done.error_in_exec._render_traceback_()[0] == f"Cell In[{done.execution_count}], line 1"
    with pytest.raises(DefinitionError) as caught:
        steps.run_cell_magic("workflow", "sales", "commands: [\n")
    assert caught.value.mistakes[0].line in (2, 3)


def test_a_run_that_fails_fails_the_cell(steps):
    """So that a notebook that runs a workflow fails with it."""
    steps.run_cell_magic("workflow", "bad", "commands:\n  boom: {shell: [python, -c, 'raise SystemExit(3)']}\n")
    with pytest.raises(RunFailed, match='"boom" failed'):
        steps.run_line_magic("workflow", "run bad")
    story = steps.run_line_magic("workflow", "why latest boom")
    assert "given up" in repr(story)


def test_verbs_about_runs_give_objects(steps, capsys):
    """History is rows to go on with, the status prints itself, the log is printed."""
    steps.run_cell_magic("workflow", "sales", YAML)
    result = steps.run_line_magic("workflow", "run sales")
    rows = steps.run_line_magic("workflow", "history --workflow sales")
    assert [row["run"] for row in rows] == [result.run]
    assert result.run in repr(rows)
    assert "completed" in rows._repr_html_()
    assert steps.run_line_magic("workflow", "status").state == "completed"
    metrics = steps.run_line_magic("workflow", "metrics")
    assert metrics["attempts"] == 2
    assert "slots used" in metrics._repr_html_()
    assert steps.run_line_magic("workflow", "attach").id == result.run
    steps.run_line_magic("workflow", "logs latest load")
    assert "loading" in capsys.readouterr().out
    steps.run_line_magic("workflow", "watch")
    assert "count" in capsys.readouterr().out


def test_a_run_is_rated_in_a_line(steps):
    """Stars, a note and who says it are kept in the store, and are what the line gives."""
    flow = Workflow("rated")
    flow.command(lambda: 1, id="a")
    run = flow.run().run
    rated = steps.run_line_magic("workflow", 'rate latest --stars 4 --note "steady enough" --author kim --role analyst')
    kept = History(attach(run).folder.parent).ratings()
    for (row,) in (rated.to_dict("records"), kept.to_dict("records")):
        assert (row["run"], row["stars"], row["note"]) == (run, 4, "steady enough")
        assert (row["author"], row["role"]) == ("kim", "analyst")


def test_a_run_is_paused_stopped_and_resumed(steps, until):
    """The same verbs steer a run that goes on while cells are run."""
    go = threading.Event()
    flow = Workflow("steered")
    flow.command(lambda: go.wait(60), id="slow")
    flow.command(lambda slow: 2, id="last", after="slow")
    steps.user_ns["steered"] = flow
    run = steps.run_line_magic("workflow", "run steered --no-wait")
    until(lambda: run.state.counts.get("running"))
    assert steps.run_line_magic("workflow", "pause latest --reason lunch").state == "paused"
    until(lambda: run.state.run.reason == "lunch")  # whoever reads the journal sees it a moment before
    go.set()
    until(lambda: run.state.counts.get("succeeded"))
    assert steps.run_line_magic("workflow", "stop latest --grace 0").state == "stopped"
    assert steps.run_line_magic("workflow", "resume latest").outputs["last"] == 2


ASKED = "def load(size):\n    if size > 5: raise ValueError('too much')\n    return size\n"
ASKING = """\
recovery: {escalation: {guided: 10m}}
commands:
  load: {call: 'asked:load', parameters: {size: 9}, retries: 0}
"""


@pytest.mark.parametrize("owner", ["parked", "living"])
def test_a_decision_is_answered_in_a_line(shell, project, until, owner):
    """With parameters and a note, whether the run waits for it in this session or has parked and is resumed."""
    (project / "asked.py").write_text(ASKED)
    flow = shell.run_cell_magic("workflow", "asking", ASKING)
    run = flow.start(wait=False, decide="wait" if owner == "living" else "park")
    if owner == "parked":
        run.wait(30, check=False)
    until(lambda: [decision for decision in run.decisions() if decision.is_open])
    (asked,) = shell.run_line_magic("workflow", "decisions")
    assert complete("%workflow decide ", {})[:2] == ["1", "latest"]
    assert complete(f"%workflow decide {run.id} ", {}) == ["1"]
    assert (
        complete("%workflow decide 1 ", {}) == complete("%workflow decide latest 1 ", {}) == ["retry", "skip", "fail"]
    )
    assert (asked.number, asked.command, asked.is_open) == (1, "load", True)
    with pytest.raises(UsageError, match="answers: retry, skip, fail"):
        shell.run_line_magic("workflow", "decide latest 1 pray")
    status = shell.run_line_magic("workflow", "decide latest 1 retry -p size 4 --note 'half of it' --to told")
    assert shell.user_ns["told"] is status
    assert status.run == run.id
    result = run.wait(30) if owner == "living" else shell.run_line_magic("workflow", "resume latest")
    assert (result.state, result.outputs["load"]) == ("completed", 4)
    assert "with size = 4" in result.deviations["load"][0]
    shown = shell.run_line_magic("workflow", "decisions")
    assert "answered by" in repr(shown)
    assert "answered by" in shown._repr_html_()
    (made,) = shown
    assert (made.answer, made.note, made.is_open) == ("retry", "half of it", False)


def test_the_run_may_be_left_out_and_what_there_is_not_is_said(steps, capsys):
    """Without a run it is the latest; nothing printed and nobody asked are sentences; help is for the eye."""
    flow = steps.run_cell_magic("workflow", "short", YAML)
    flow.run()
    steps.run_line_magic("workflow", "logs load")
    steps.run_line_magic("workflow", "logs count")
    assert capsys.readouterr().out == 'loading\n\n"count" has printed nothing\n'
    assert '"count" is succeeded' in str(steps.run_line_magic("workflow", "why count"))
    asked = steps.run_line_magic("workflow", "decisions")
    assert (asked, repr(asked)) == ([], "nobody was asked anything")
    steps.run_line_magic("workflow", "why --help")
    assert capsys.readouterr().out.splitlines()[0].split() == [
        "%workflow",
        "why",
        "[--store",
        "FOLDER]",
        "[--to",
        "NAME]",
        "[RUN]",
        "COMMAND",
    ]


def test_other_verbs_are_those_of_the_command_line(steps, capsys):
    """A verb that has no object to give prints what the command line prints, and fails the cell as that fails."""
    steps.run_line_magic("workflow", "schema")
    assert '"commands"' in capsys.readouterr().out
    with pytest.raises(UsageError, match="no run"):
        steps.run_line_magic("workflow", "save nothing state.json")


def test_what_is_wrong_in_the_line_is_said_in_a_line(steps):
    """Unknown verbs and arguments are said without a traceback, the nearest one named."""
    with pytest.raises(UsageError, match='did you mean "status"'):
        steps.run_line_magic("workflow", "statsu")
    with pytest.raises(NotUsed):
        steps.run_line_magic("workflow", "stop latest --grace soon")
    with pytest.raises(UsageError, match="there is no"):
        steps.run_line_magic("workflow", "run nowhere.yaml")
    with pytest.raises(UsageError, match="cannot be read"):
        steps.run_line_magic("workflow", "run 'half")


def test_help_names_every_verb(steps, capsys):
    """`%workflow`, `%workflow?` and `--help` tell what there is."""
    steps.run_line_magic("workflow", "")
    told = capsys.readouterr().out
    assert told.strip() == help_text().strip()
    assert all(f"    {verb}" in told for verb in VERBS)
    steps.run_line_magic("workflow", "run --help")
    assert "--reuse" in capsys.readouterr().out
    assert steps.magics_manager.magics["line"]["workflow"].__doc__ == help_text()


def test_a_name_that_can_be_no_variable_is_refused():
    """Letters that a name of Python cannot have become underscores."""
    assert variable("day-report") == "day_report"
    with pytest.raises(NotUsed, match="cannot be the name of a variable"):
        variable("1st")


def test_loading_it_again_leaves_one_of_each(steps):
    """Nothing is registered twice, and nothing is left when it is unloaded."""
    before = len(steps.Completer.custom_matchers)
    threads = threading.active_count()
    for _ in range(3):
        steps.run_line_magic("reload_ext", "orchestrator_nb")
    assert len(steps.Completer.custom_matchers) == before
    assert threading.active_count() == threads
    steps.run_line_magic("unload_ext", "orchestrator_nb")
    assert len(steps.Completer.custom_matchers) == before - 1
    assert "workflow" not in steps.magics_manager.magics["line"]
    steps.run_line_magic("load_ext", "orchestrator_nb")


def test_the_interrupt_of_a_cell_that_waits_pauses_the_run(steps, until, monkeypatch):
    """The run is paused durably and can be resumed; the cell fails with what to type."""
    flow = Workflow("slow")
    flow.shell(["sleep", "60"], id="sleeping")
    steps.user_ns["slow"] = flow
    run = flow.start(wait=False)
    until(lambda: run.state.counts.get("running"))
    wait, calls = type(run._own).wait, []

    def interrupted(self, timeout):
        calls.append(timeout)
        if len(calls) <= 2:
            raise KeyboardInterrupt
        return wait(self, timeout)

    monkeypatch.setattr(type(run._own), "wait", interrupted)
    with pytest.raises(RunFailed, match="is paused"):
        run.wait()
    assert attach(run.id).state.run.state == "paused"


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("run sales -p bad 1", 'the workflow has no parameter "bad"'),
        ("run sales -p rows many", 'found the text "many"; expected an integer'),
        ("run nowhere", 'there is no "nowhere"'),
        ("run sales --only model", '"model" selects nothing'),
        ("status nobody", 'no run "nobody"'),
        ("why latest model", 'the run has no command "model"; it has load'),
        ("logs latest model", 'has no command "model"; it has load'),
        ("decide 1 retry", "there is no decision 1"),
        ("report latest --out there/is/a.file/x.html", "cannot be written"),
        ("stat", 'did you mean "status"?'),
    ],
)
def test_a_mistake_in_a_magic_shows_the_line_and_what_is_wrong(steps, line, told):
    """Nothing of this package or of Python is shown, whichever verb it is: the cell, what was typed, and the message."""
    steps.user_ns["sales"] = flow = Workflow("sales", parameters={"rows": 5})
    flow.command(lambda rows: rows, id="load")
    flow.run()
    Path("there/is").mkdir(parents=True)
    Path("there/is/a.file").touch()
    error = steps.run_cell(f"1 + 1\nfound = %workflow {line}").error_in_exec
    where, typed, *message = error._render_traceback_()
    assert where.startswith("Cell In[")
    assert where.endswith("], line 2")
    assert typed == f"    found = %workflow {line}"
    assert message[0].startswith(f"{type(error).__name__}: ")
    assert told in "\n".join(message)


def test_a_mistake_in_a_cell_of_yaml_shows_the_magic_as_it_was_typed(steps):
    """And not the call that IPython makes of it."""
    error = steps.run_cell("%%workflow it's\ncommands: {a: {shel: \"echo 'x'\"}}").error_in_exec
    assert error is not None
    where, typed, *message = error._render_traceback_()
    assert (where[:8], typed) == ("Cell In[", "    %%workflow it's")
    assert "\n".join(message)
