"""Routing in real runs: trigger rules, conditions and matrices, from the definition to the journal and back."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestrator_nb.engine.replay import replay
from orchestrator_nb.errors import DefinitionError, RunFailed
from orchestrator_nb.journal.file import JournalFile
from orchestrator_nb.journal.store import JOURNAL
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
