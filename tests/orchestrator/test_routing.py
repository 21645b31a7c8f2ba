"""Routing in real runs: trigger rules, conditions and matrices, from the definition to the journal and back."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from orchestrator_nb import context
from orchestrator_nb.engine.replay import replay, what_if
from orchestrator_nb.errors import DefinitionError, RunFailed
from orchestrator_nb.journal.file import JournalFile
from orchestrator_nb.journal.store import JOURNAL
from orchestrator_nb.orchestrator.display.failure_story import failure_text
from orchestrator_nb.orchestrator.run import Run
from orchestrator_nb.orchestrator.session import POLICIES
from orchestrator_nb.orchestrator.workflow import Workflow


def make(folder: Path, name: str = "flow", **options: object) -> Workflow:
    """A workflow whose files and store are in a folder of the test's own."""
    return Workflow(name, folder=folder, **options)  # type: ignore[arg-type]


def done(flow: Workflow, **parameters: object) -> Run:
    """The run of a workflow at its end, however that came."""
    return flow.start(check=False, store=flow.folder / "store", durability="process", **parameters)  # type: ignore[arg-type]


def states(run: Run) -> dict[str, str]:
    return {name: record.state for name, record in run.state.commands.items()}


def journal(run: Run) -> list[object]:
    file = JournalFile(run.folder / JOURNAL, clock=float)
    try:
        return list(file.read())
    finally:
        file.close()


# ── trigger rules ───────────────────────────────────────────────────────────────────────────────────────────────


def routed(folder: Path, *, broken: list[bool]) -> Workflow:
    """Work that fails while `broken` says so, somebody to tell of it, and somebody to tidy up."""
    flow = make(folder)

    @flow.command
    def work() -> int:
        if broken:
            raise ValueError("broken")
        return 3

    @flow.command(after="work", trigger_rule="one_failed")
    def tell(work: int | None) -> str:
        return f"work came to {work}"

    @flow.command(after="work")
    def publish(work: int) -> int:
        return work + 1

    @flow.command(after=["tell", "publish"], trigger_rule="all_done")
    def tidy(tell: str | None, publish: int | None) -> list[object]:
        return [tell, publish]

    return flow


def test_a_failure_takes_the_way_that_rules_lay_out_and_the_run_says_that_it_failed(tmp_path: Path) -> None:
    """The handler runs without the result that is not there; on resume the other way is taken."""
    broken = [True]
    flow = routed(tmp_path, broken=broken)
    run = done(flow)
    assert states(run) == {"work": "failed", "tell": "succeeded", "publish": "upstream_failed", "tidy": "succeeded"}
    assert run.state.run.state == "failed"
    assert run.result.outputs["tell"] == "work came to None"
    assert run.result.outputs["tidy"] == ["work came to None", None]
    assert replay(journal(run), policies=POLICIES).same  # type: ignore[arg-type]
    broken.clear()
    again = flow.resume(store=tmp_path / "store")
    assert states(again) == {"work": "succeeded", "tell": "succeeded", "publish": "succeeded", "tidy": "succeeded"}


def test_a_success_skips_the_handler_with_the_reason(tmp_path: Path) -> None:
    """A skipped command is no failure, and `why` says which rule skipped it."""
    flow = routed(tmp_path, broken=[])
    run = done(flow)
    assert run.state.run.state == "completed"
    assert states(run)["tell"] == "skipped"
    assert run.result.outputs["tidy"] == [None, 4]
    assert 'it was skipped: "work" succeeded (trigger_rule one_failed)' in str(run.why("tell"))
    assert "one_failed" in repr(flow.plan())
    assert flow.plan().to_frame().loc["tell", "trigger_rule"] == "one_failed"
    assert "trigger_rule all_done" in flow.plan().to_svg()


def test_the_rule_is_read_and_written_like_any_field(tmp_path: Path) -> None:
    """YAML, camelCase and Python mean the same; an unknown rule is a mistake that names the one that was meant."""
    text = "workflow: w\ncommands:\n  a: {shell: ['true']}\n  b: {shell: ['true'], after: a, triggerRule: one_done}\n"
    (tmp_path / "w.yaml").write_text(text)
    flow = Workflow.load(tmp_path / "w.yaml")
    assert flow.to_dict()["commands"]["b"]["trigger_rule"] == "one_done"
    (tmp_path / "w.yaml").write_text(text.replace("one_done", "one_succes"))
    with pytest.raises(DefinitionError, match=r'"one_succes".*did you mean "one_success"'):
        Workflow.load(tmp_path / "w.yaml")


def test_a_command_that_waits_for_nobody_is_named_in_the_plan(tmp_path: Path) -> None:
    """`always` surprises those who take it for `all_done`."""
    flow = make(tmp_path)
    flow.shell(["true"], id="first")
    flow.shell(["true"], id="now", after="first", trigger_rule="always")
    assert flow.plan().notes == ('"now" starts at once, whatever is before it: its trigger_rule is always',)


def test_another_rule_at_resume_is_recorded_and_opens_what_was_skipped(tmp_path: Path) -> None:
    """The definition of today says what runs; what succeeded before stays."""

    def flow(rule: str, code: int) -> Workflow:
        made = make(tmp_path)
        made.shell(["sh", "-c", "exit 0"], id="first")
        made.shell(["sh", "-c", f"exit {code}"], id="work", retries=0)
        made.shell(["true"], id="tell", after="first", trigger_rule=rule)
        return made

    run = done(flow("one_failed", 1))
    assert states(run) == {"first": "succeeded", "work": "failed", "tell": "skipped"}
    again = flow("all_done", 0).resume(store=tmp_path / "store")
    assert states(again) == {"first": "succeeded", "work": "succeeded", "tell": "succeeded"}
    assert "another trigger rule or condition" in str(again.why("tell"))


def test_a_run_that_only_failed_where_nobody_mends_it_raises(tmp_path: Path) -> None:
    """Routing around a failure hides it from nobody who waits for the run."""
    with pytest.raises(RunFailed, match='"work" failed'):
        routed(tmp_path, broken=[True]).run(store=tmp_path / "store")


# ── conditions ──────────────────────────────────────────────────────────────────────────────────────────────────


def conditional(folder: Path, when: str, *, result: object, **options: object) -> Workflow:
    """Data, what is done with it where a condition holds, and what follows that."""
    flow = make(folder, parameters={"mode": "full", "least": 100})

    @flow.command
    def clean() -> object:
        context.record("seen", {"rows": 7})
        context.metric("score", 0.5)
        return result

    @flow.command(when=when, **options)
    def model() -> str:
        return "made"

    @flow.command(after="model")
    def publish(model: str) -> str:
        return model

    return flow


@pytest.mark.parametrize(
    ("when", "result", "reason"),
    [
        ("clean.rows > 100", {"rows": 12}, "when: clean.rows > 100 (clean.rows is 12)"),
        (
            'clean.rows >= parameters.least and parameters.mode == "fast"',
            {"rows": 120},
            (
                'when: clean.rows >= parameters.least and parameters.mode == "fast" '
                '(clean.rows is 120, parameters.least is 100, parameters.mode is "full")'
            ),
        ),
        ("${{ clean.seen.rows }} > 7", {"rows": 12}, "when: ${{ clean.seen.rows }} > 7 (clean.seen.rows is 7)"),
        ("clean.score > 0.5", 3, "when: clean.score > 0.5 (clean.score is 0.5)"),
        ("clean > 3", 3, "when: clean > 3 (clean is 3)"),
        ("clean[1] == 'a'", ["a", "b"], "when: clean[1] == 'a' (clean[1] is \"b\")"),
        ("clean.seen.rows > 7", None, "when: clean.seen.rows > 7 (clean.seen.rows is 7)"),
        ("context.attempt > 1", None, "when: context.attempt > 1 (context.attempt is 1)"),
    ],
)
def test_a_condition_that_does_not_hold_skips_and_the_reason_shows_the_values(
    tmp_path: Path, when: str, result: object, reason: str
) -> None:
    """What follows is skipped too, the run completes, and it is decided the same way again."""
    flow = conditional(tmp_path, when, result=result)
    run = done(flow)
    assert states(run) == {"clean": "succeeded", "model": "skipped", "publish": "skipped"}
    assert run.state.run.state == "completed"
    assert run.state.commands["model"].reason == reason
    assert f"cause: model is skipped: {reason}" in str(run.why("publish"))
    assert replay(journal(run), policies=POLICIES).same  # type: ignore[arg-type]
    again = what_if(journal(run), slots=3)  # type: ignore[arg-type]
    assert {row.command for row in again.timeline} == {"clean"}


def test_a_condition_that_holds_lets_the_command_run_as_an_edge_of_its_own(tmp_path: Path) -> None:
    """Nobody wrote `after`: what a condition looks at comes first, as the plan shows."""
    flow = conditional(tmp_path, "clean.rows > 100", result={"rows": 101})
    plan = flow.plan()
    assert plan.upstream["model"] == ("clean",)
    assert "when clean.rows > 100" in repr(plan)
    assert plan.to_frame().loc["model", "when"] == "clean.rows > 100"
    assert "when clean.rows &gt; 100" in plan.to_svg()
    assert {row.command for row in plan.simulate().timeline} == {"clean", "model", "publish"}
    assert states(done(flow)) == {"clean": "succeeded", "model": "succeeded", "publish": "succeeded"}


@pytest.mark.parametrize(
    ("when", "result", "message"),
    [
        ("clean.row > 1", {"rows": 12}, r'asks the result of "clean" for "row".*did you mean "rows"'),
        ("clean.rows > 1", {"rows": "12"}, "> is not possible with the text .12. and the number 1"),
        ("clean.text == ''", {"text": "x" * 100_000}, "not kept in the journal.*context.record"),
        ("clean.table == 1", {"table": b"12"}, "a bytes and not kept in the journal"),
        ("clean.rows.each > 1", {"rows": 12}, 'for "each"; it has no names in it'),
    ],
)
def test_a_condition_that_cannot_be_worked_out_fails_the_command(
    tmp_path: Path, when: str, result: object, message: str
) -> None:
    """The failure names what is missing, is not retried, and the run can be mended and resumed."""
    run = done(conditional(tmp_path, when, result=result, retries=3))
    assert states(run) == {"clean": "succeeded", "model": "failed", "publish": "upstream_failed"}
    failure = run.result.errors["model"]
    assert failure.kind == "condition"
    assert re.search(message, failure.message)
    assert '"model" failed (condition)' in failure_text(run.result)
    assert replay(journal(run), policies=POLICIES).same  # type: ignore[arg-type]
    assert what_if(journal(run), policies=POLICIES).state == "failed"  # type: ignore[arg-type]
    again = conditional(tmp_path, "true", result=result).resume(store=tmp_path / "store")
    assert states(again)["publish"] == "succeeded"
    assert again.state.run.state == "completed"


def test_a_condition_over_what_did_not_succeed_says_so(tmp_path: Path) -> None:
    """Under `all_done` a condition may meet a command without a result."""
    flow = make(tmp_path)
    flow.shell(["false"], id="work", retries=0)
    flow.shell(["true"], id="tell", when="work.rows > 1", trigger_rule="all_done", optional=True)
    run = done(flow)
    assert 'looks at "work", which has no result: it is failed' in run.state.commands["tell"].reason
    assert "tell" in run.state.deviations


@pytest.mark.parametrize(
    ("when", "message"),
    [
        ("clen.rows > 1", r'/commands/model/when: there is no command "clen"; found .*column 1.*did you mean "clean"'),
        ("clean.rows >", "/commands/model/when: .*cannot be read"),
        ("parameters.mod == 1", 'no parameter "mod".*did you mean "mode"'),
        ("model.rows > 1", "cannot use its own result"),
        ("parameters == 1", '"parameters" names nothing'),
        ("secrets.x == 1", "a condition cannot look at a secret"),
    ],
)
def test_a_wrong_condition_is_found_before_the_run(tmp_path: Path, when: str, message: str) -> None:
    """Names and grammar are checked with everything else."""
    with pytest.raises(DefinitionError) as raised:
        conditional(tmp_path, when, result=1).plan()
    assert re.search(message, str(raised.value))


def test_conditions_come_back_from_yaml_as_they_were(tmp_path: Path) -> None:
    """Also true and false, which YAML does not read as text."""
    text = "workflow: w\ncommands:\n  a: {shell: ['true'], when: false}\n  b: {shell: ['true'], when: a.x > 1}\n"
    (tmp_path / "w.yaml").write_text(text)
    flow = Workflow.load(tmp_path / "w.yaml")
    (tmp_path / "again.yaml").write_text(flow.to_yaml())
    assert Workflow.load(tmp_path / "again.yaml").definition == flow.definition
    assert states(done(flow)) == {"a": "skipped", "b": "skipped"}


def test_what_was_skipped_by_a_condition_is_decided_anew_when_that_changes(tmp_path: Path) -> None:
    """A condition of today counts for a run that is resumed."""
    broken = [True]

    def flow(least: int) -> Workflow:
        made = conditional(tmp_path, f"clean.rows > {least}", result={"rows": 12})

        @made.command
        def other() -> None:
            if broken:
                raise ValueError("broken")

        return made

    assert states(done(flow(100)))["model"] == "skipped"
    broken.clear()
    again = flow(10).resume(store=tmp_path / "store")
    assert states(again) == dict.fromkeys(("clean", "model", "publish", "other"), "succeeded")


# ── matrices ────────────────────────────────────────────────────────────────────────────────────────────────────


def regional(folder: Path, *, broken: list[str], **options: object) -> Workflow:
    """A model for each region and year, its check cell by cell, and one report of all."""
    flow = make(folder, parameters={"regions": ["north", "south"]})

    @flow.command(matrix={"region": "${{ parameters.regions }}", "year": [2020, 2021]}, retries=0)
    def model(region: str, year: int) -> dict[str, object]:
        if region in broken:
            raise ValueError(f"no data for {region}")
        context.metric("rows", year - 2000)
        return {"name": f"{region} {year}", "rmse": year / 1000}

    @flow.command(matrix={"region": "${{ parameters.regions }}", "year": [2020, 2021]})
    def check(model: dict[str, object], year: int) -> str:
        return f"{model['name']} in {year}"

    @flow.command(matrix={"region": "${{ parameters.regions }}"})
    def sums(model: dict[str, dict[str, object]], region: str) -> list[str]:
        return [region, *model]

    @flow.command(**options)
    def report(model: dict[str, dict[str, object]]) -> dict[str, object]:
        return {key: value["rmse"] for key, value in model.items()}

    return flow


def test_cells_run_and_what_follows_gathers_them(tmp_path: Path) -> None:
    """Arguments named like an axis get its value; cells follow cells; the report has all results by key, in order."""
    flow = regional(tmp_path, broken=[])
    plan = flow.plan()
    assert len(plan.order) == 4 + 4 + 2 + 1
    assert plan.upstream["check-north-2021"] == ("model-north-2021",)
    assert plan.upstream["sums-south"] == ("model-south-2020", "model-south-2021")
    assert '"model" has 4 cells' in plan.notes
    assert 'each cell of "check" follows the cell of "model" with the same region, year' in plan.notes
    assert 'each cell of "sums" follows the cells of "model" with the same region' in plan.notes
    assert '"report" gathers all 4 cells of "model"' in plan.notes
    run = done(flow)
    outputs = run.result.outputs
    assert outputs["check-south-2020"] == "south 2020 in 2020"
    assert outputs["sums-south"] == ["south", "south-2020", "south-2021"]
    assert list(outputs["report"].items()) == [
        ("north-2020", 2.02), ("north-2021", 2.021), ("south-2020", 2.02), ("south-2021", 2.021),
    ]  # fmt: skip
    assert replay(journal(run), policies=POLICIES).same  # type: ignore[arg-type]
    assert flow.to_dict()["commands"]["model"]["matrix"]["region"] == "${{ parameters.regions }}"
    assert set(states(done(flow, regions=["west"]))) >= {"model-west-2020", "sums-west", "report"}


def test_cells_that_failed_are_missing_where_a_rule_lets_others_go_on(tmp_path: Path) -> None:
    """With the usual rule one cell's failure holds the report back; with `all_done` it has what there is."""
    usual = done(regional(tmp_path / "a", broken=["south"]))
    assert states(usual)["report"] == "upstream_failed"
    assert states(usual)["check-north-2020"] == "succeeded"
    broken = ["south"]
    flow = regional(tmp_path / "b", broken=broken, trigger_rule="all_done")
    run = done(flow)
    assert run.result.outputs["report"] == {"north-2020": 2.02, "north-2021": 2.021}
    assert states(run)["sums-south"] == "upstream_failed"
    card = failure_text(run.result)
    assert '"model-south-2020" failed' in card
    assert "failed in the same way: model-south-2021" in card
    assert card.count("no data for south") < 6
    told = str(run.why("model"))
    assert "2 succeeded, 2 failed" in told
    assert "no data for south" in told
    broken.clear()
    again = flow.resume(store=tmp_path / "b" / "store")
    assert again.state.run.state == "completed"
    assert again.state.commands["model-north-2020"].attempt == 1
    assert again.state.commands["model-south-2020"].attempt == 2


def test_an_empty_matrix_gives_an_empty_mapping(tmp_path: Path) -> None:
    """Nothing to do is no failure, and the plan says so."""
    flow = regional(tmp_path, broken=[])
    run = done(flow, regions=[])
    assert states(run) == {"report": "succeeded"}
    assert run.result.outputs["report"] == {}
    assert any("gathers an empty mapping" in note for note in flow.plan({"regions": []}).notes)


def test_references_and_conditions_reach_into_cells(tmp_path: Path) -> None:
    """By the key of a cell, or by that of the one cell that is followed; a condition may ask for the values themselves."""
    flow = make(tmp_path)

    @flow.command(matrix={"region": ["north", "south"]})
    def model(region: str) -> dict[str, object]:
        return {"rmse": 1.5 if region == "north" else 4.5}

    @flow.command(matrix={"region": ["north", "south"]}, when="model.rmse < 3.5 or matrix.region == 'east'")
    def publish(region: str) -> str:
        return region

    @flow.command(when="model.north.rmse < model.south.rmse and len(model) == 2")
    def compare(given: float) -> float:
        return given

    flow._document["commands"]["compare"]["parameters"] = {"given": "${{ model.south.rmse }}"}
    flow._loaded = None

    @flow.command(after="publish", trigger_rule="none_failed")
    def report(publish: dict[str, str]) -> list[str]:
        return list(publish.values())

    run = done(flow)
    assert states(run) == {
        "model-north": "succeeded", "model-south": "succeeded", "publish-north": "succeeded",
        "publish-south": "skipped", "compare": "succeeded", "report": "succeeded",
    }  # fmt: skip
    assert run.result.outputs["compare"] == 4.5
    assert run.result.outputs["report"] == ["north"]
    assert '(model.rmse is 4.5, matrix.region is "south")' in str(run.why("publish-south"))
    assert replay(journal(run), policies=POLICIES).same  # type: ignore[arg-type]


def test_a_matrix_of_programs_in_processes_gathers_too(tmp_path: Path) -> None:
    """What a matrix gives passes to other processes in stored form, and files keep apart what cells write."""
    text = """
workflow: files
commands:
  write:
    shell: [sh, -c, 'echo "$NAME" > ${{ matrix.name }}.txt']
    environment: {NAME: "${{ matrix.name }}"}
    writes: ["${{ matrix.name }}.txt"]
    matrix: {name: [one, two]}
  read:
    shell: [cat, "${{ matrix.name }}.txt"]
    reads: ["${{ matrix.name }}.txt"]
    matrix: {name: [one, two]}
"""
    (tmp_path / "files.yaml").write_text(text)
    flow = Workflow.load(tmp_path / "files.yaml")
    assert flow.plan().upstream["read-two"] == ("write-two",)
    run = done(flow)
    assert run.state.run.state == "completed"
    assert (tmp_path / "two.txt").read_text() == "two\n"


def test_a_resumed_run_takes_the_matrix_of_today(tmp_path: Path) -> None:
    """New cells run, those that are there keep their results, and the change is recorded."""
    broken = ["south"]
    run = done(regional(tmp_path, broken=broken))
    assert run.state.run.state == "failed"
    broken.clear()
    flow = regional(tmp_path, broken=broken)
    flow._document["commands"]["model"]["matrix"]["year"] = [2020, 2021, 2022]
    flow._loaded = None
    again = flow.resume(store=tmp_path / "store")
    assert again.state.run.state == "completed"
    assert again.state.commands["model-north-2020"].attempt == 1
    assert "north-2022" in again.result.outputs["report"]
    assert any(
        "model-north-2022" in str(event) for event in journal(again) if type(event).__name__ == "DefinitionChanged"
    )


def test_many_cells_take_one_line_in_a_status(tmp_path: Path) -> None:
    """What a person has to look at stands out; the rows are all there."""
    flow = make(tmp_path)

    @flow.command(matrix={"number": list(range(30))}, retries=0)
    def square(number: int) -> int:
        if number == 7:
            raise ValueError("not seven")
        return number * number

    run = done(flow)
    shown = str(run.status())
    assert len(run.status().rows) == 30
    assert "square-7 " in shown
    assert "square-8 " not in shown
    assert "square (29 cells)" in shown


def test_a_mistake_in_every_cell_is_said_once(tmp_path: Path) -> None:
    """The mistake is in what was written, not in what was made of it."""
    flow = make(tmp_path)

    @flow.command(matrix={"region": ["north", "south"]})
    def model(area: str) -> str:
        return area

    with pytest.raises(
        DefinitionError, match=r'/commands/model/parameters: nothing gives the argument "area"'
    ) as raised:
        flow.plan()
    assert len(raised.value.mistakes) == 1


def test_cells_in_processes_of_their_own_get_and_give_the_same(tmp_path: Path) -> None:
    """A cell is a plain value that crosses to another process like any command."""
    flow = make(tmp_path)

    @flow.command(matrix={"number": [2, 3]}, isolation="process")
    def square(number: int) -> int:
        return number * number

    @flow.command(isolation="process")
    def total(square: dict[str, int]) -> int:
        return sum(square.values())

    assert done(flow).result.outputs["total"] == 13


def test_an_inner_workflow_may_have_a_matrix_over_what_comes_before_it(tmp_path: Path) -> None:
    """Its cells are known when it starts, not when the outer one is planned."""
    text = """
workflow: inner
parameters: {regions: {type: list}}
commands:
  write:
    shell: [sh, -c, 'echo done > ${{ matrix.region }}.txt']
    matrix: {region: "${{ parameters.regions }}"}
    writes: ["${{ matrix.region }}.txt"]
  count:
    shell: [sh, -c, 'ls *.txt']
    after: write
"""
    (tmp_path / "inner.yaml").write_text(text)
    flow = make(tmp_path, "outer")

    @flow.command
    def regions() -> list[str]:
        return ["north", "south"]

    flow.workflow("inner.yaml", parameters={"regions": "${{ regions }}"})
    run = done(flow)
    assert run.state.run.state == "completed", failure_text(run.result)
    assert set(run.result.outputs["inner"]) == {"write-north", "write-south", "count"}
    assert sorted(path.name for path in tmp_path.glob("*.txt")) == ["north.txt", "south.txt"]


@pytest.mark.kernel
def test_a_notebook_gets_the_values_of_its_cell(tmp_path: Path) -> None:
    """A parameter of the notebook that is named like an axis needs no word in the definition."""
    import nbformat

    book = nbformat.v4.new_notebook()
    book.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
    book.cells = [
        nbformat.v4.new_code_cell("region = 'none'", metadata={"tags": ["parameters"]}),
        nbformat.v4.new_code_cell("from orchestrator_nb import context\ncontext.record('seen', region.upper())"),
    ]
    nbformat.write(book, tmp_path / "model.ipynb")
    flow = make(tmp_path)
    flow.notebook("model.ipynb", matrix={"region": ["north", "south"]})

    @flow.command
    def report(model: dict[str, dict[str, str]]) -> list[str]:
        return [value["seen"] for value in model.values()]

    assert done(flow).result.outputs["report"] == ["NORTH", "SOUTH"]
