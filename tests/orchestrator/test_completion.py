"""What a run that did not come to everything can deliver already, and how it is completed."""

from __future__ import annotations

import json
import time
from pathlib import Path

from orchestrator_nb import RunResult, Workflow, attach, context
from orchestrator_nb.orchestrator.display.completion import completion_plan
from orchestrator_nb.state.records import CommandRecord


def _fails() -> int:
    raise ValueError("no")


def test_a_failed_run_says_what_can_be_delivered_and_what_is_missing(project: Path) -> None:
    """In the result, the status and the summary; a resume after mending completes it, and then nothing is advised."""
    flow = Workflow("w")
    broken = [True]
    flow.command(lambda: 1, id="data", milestone=True)

    @flow.command(after="data")
    def model() -> int:
        time.sleep(0.05)  # or the run is too quick for a summary
        return _fails() if broken else 2

    flow.command(lambda: 3, id="report", after="model", milestone=True)
    result = flow.run(check=False)
    assert result.milestones == {"data": True, "report": False}
    told = "milestones: can be delivered: data; not yet: report"
    plan = result.recommendations[""]
    assert plan[:3] == (told, "to be mended: model", "to be run once that is done: report")
    assert plan[3:] == tuple(step for step in result.next_steps if step.startswith("to go on"))
    assert result.to_plain()["recommendations"][""] == list(plan)
    assert told in str(attach().status())
    assert f"M{told[1:]}." in (result.folder / "summary.md").read_text(encoding="utf-8")
    broken.clear()
    again = flow.resume().wait()
    assert (again.state, again.milestones) == ("completed", {"data": True, "report": True})
    assert "" not in again.recommendations


def test_a_failed_run_hands_over_errors_partial_results_and_diagnostics(project: Path) -> None:
    """All in one object, which is plain JSON when it is asked for; large values stand for themselves."""
    flow = Workflow("w", parameters={"year": 2009})
    flow.command(lambda: 1, id="data")

    def model(data: int) -> int:
        context.record("rows", 344)
        context.record("text", "x" * 100_000)
        context.metric("loss", 0.5)
        context.shared["never"] = 1
        print("about to fit")
        return _fails()

    flow.command(model, retries=0)
    flow.command(lambda model: model, id="report")
    result = flow.run(check=False)
    assert (result.state, dict(result.outputs), dict(result.shared)) == ("failed", {"data": 1}, {})
    assert (result.partial["model"]["rows"], len(result.partial["model"]["text"])) == (344, 100_000)
    told = json.loads(json.dumps(result.to_plain()))
    assert told["partial"]["model"]["rows"] == 344
    assert {**told["partial"]["model"]["text"], "artifact": ""} == {
        "form": "json",
        "artifact": "",
        "size": 100_002,
        "type": None,
    }
    error = told["errors"]["model"]
    assert (error["message"], error["category"], error["transient"]) == ("no", "command_execution", None)
    assert {"kind", "cell", "error", "severity", "evidence"} <= error.keys()
    assert Path(told["logs"]["model"]).read_text(encoding="utf-8") == "about to fit\n"
    assert told["recommendations"]["model"]
    assert told["recommendations"][""][-1] == result.next_steps[-1]
    assert (told["metrics"]["model"], told["parameters"]) == ({"loss": 0.5}, {"year": 2009})
    assert [row["state"] for row in told["commands"].values()] == ["succeeded", "failed", "upstream_failed"]
    assert (told["outputs"], told["shared"], told["state"]) == ({"data": 1}, {}, "failed")
    assert not told["compliance"]["complies"]


def test_a_degraded_run_can_be_had_as_planned(project: Path) -> None:
    """The commands that another stood in for are named, and what is advised runs them again."""
    flow = Workflow("w")
    broken = [True]
    flow.command(lambda: _fails() if broken else 1, id="exact", fallback="rough", milestone=True)
    flow.command(lambda: 2, id="rough")
    result = flow.run()
    assert (result.exit_code, result.outputs["exact"]) == (3, 2)
    assert result.recommendations[""][:2] == (
        "milestones: can be delivered: exact",
        "done in another way than planned, or left out: exact",
    )
    assert result.recommendations[""][2].endswith("""flow.resume(start_from=['exact'])""")
    broken.clear()
    again = flow.resume(start_from=["exact"]).wait()
    assert (again.outputs["exact"], again.commands["exact"].substitute) == (1, "")


def test_a_run_is_completed_over_several_resumes(project: Path) -> None:
    """Each does what can be done by then and no more, and what has succeeded is never run again."""
    flow, ran = Workflow("w"), list[str]()
    away = {"exact", "north", "south"}

    def part(name: str, *after: str, **options: str) -> None:
        def work() -> str:
            ran.append(name)
            if name in away:
                raise ValueError(f"{name} is away")
            return name

        flow.command(work, id=name, after=after, retries=0, **options)

    part("data")
    part("rough")
    part("exact", fallback="rough")
    part("north", "data")
    part("south", "data")
    part("sum-north", "north")
    part("sum-south", "south")
    part("all", "sum-north", "sum-south")

    def round_of(result: RunResult) -> tuple[str, list[str], list[str]]:
        did, missing = sorted(ran), [text for text in result.recommendations.get("", ()) if text.startswith("to be")]
        ran.clear()
        return result.state, did, missing

    assert round_of(flow.run(check=False)) == (
        "failed",
        ["data", "exact", "north", "rough", "south"],
        ["to be mended: north, south", "to be run once that is done: sum-north, sum-south, all"],
    )
    state, did, missing = round_of(flow.resume(check=False).result)  # nothing was mended
    assert (state, did, missing[0]) == ("failed", ["north", "south"], "to be mended: north, south")
    away.remove("north")
    assert round_of(flow.resume(check=False).result) == (
        "failed",
        ["north", "south", "sum-north"],
        ["to be mended: south", "to be run once that is done: sum-south, all"],
    )
    away.remove("south")
    done = flow.resume(check=False).result
    assert (done.exit_code, done.outputs["exact"], done.outputs["all"]) == (3, "rough", "all")
    assert list(done.deviations) == ["exact"]
    assert round_of(done)[:2] == ("completed", ["all", "south", "sum-south"])
    away.clear()
    whole = flow.resume(start_from=["exact"], check=False).result
    assert (whole.exit_code, whole.outputs["exact"], dict(whole.deviations)) == (0, "exact", {})
    assert round_of(whole)[:2] == ("completed", ["exact"])


def test_a_run_under_way_or_complete_needs_no_plan() -> None:
    """Nothing is advised; without milestones none are told, and what to type on a command line is whole."""
    done, waits = CommandRecord(state="succeeded"), CommandRecord()

    def told(state: str, record: CommandRecord, **deviations: tuple[str, ...]) -> list[str]:
        steps = ("to decide: …", "to go on: orchestrator-nb resume r --store s")
        return list(
            completion_plan(state, commands={"a": record}, deviations=deviations, milestones={}, next_steps=steps)
        )

    assert told("executing", waits) == told("completed", done) == []
    assert told("stopped", waits) == ["to be run: a", "to go on: orchestrator-nb resume r --store s"]
    assert told("completed", done, a=("reduced",)) == [
        "done in another way than planned, or left out: a",
        "to have them as planned: orchestrator-nb resume r --store s --from a",
    ]
