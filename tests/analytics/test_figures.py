"""Figures: their numbers are those worked out by hand, their sentences say them, and plotly takes them."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pandas as pd
import pytest

from orchestrator_nb.analytics.digest import Digest
from orchestrator_nb.analytics.figures import of_gates, of_history, of_quality, of_run
from orchestrator_nb.analytics.figures.figure import Figure, length
from orchestrator_nb.analytics.history import History
from orchestrator_nb.analytics.marks import Marks
from orchestrator_nb.analytics.material import Material
from orchestrator_nb.state.timing import timing


def _trace(figure: Figure, name: str) -> dict:
    (found,) = [trace for trace in figure.data if trace.get("name") == name]
    return found


def _digest(store: Path, **filters) -> Digest:
    return Material(History(store), filters, {}).digest


def _drawn(figure: Figure) -> Figure:
    """Let plotly check everything that it is given."""
    assert figure.plot.layout.title.text == figure.title
    assert figure.text.endswith(".")
    return figure


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.0, "0 s"), (0.0004, "0.40 ms"), (0.25, "250 ms"), (3.14, "3.1 s"), (42.0, "42 s"), (150.0, "2.5 min"), (9000, "2.5 h")],
)  # fmt: skip
def test_durations_are_said_as_people_say_them(seconds: float, words: str) -> None:
    """In the unit that fits."""
    assert length(seconds) == words


def test_a_timeline_has_each_attempt_where_it_was(facts, named) -> None:
    """Bars from start to end, waits before them, what failed by itself, the critical path outlined."""
    figure = _drawn(of_run.timeline(timing(facts(named(1)))))
    ran = _trace(figure, "ran")
    assert list(zip(ran["y"], ran["base"], ran["x"], strict=True)) == [
        ("clean", 1.0, 10.0), ("stats", 12.0, 10.0), ("model", 19.0, 10.0), ("publish", 29.0, 4.0),
    ]  # fmt: skip
    assert ran["marker"]["line"]["width"] == [3, 0, 3, 3]
    failed = _trace(figure, "failed")
    assert (failed["y"], failed["base"], failed["x"]) == (["model"], [11.0], [5.0])
    waited = _trace(figure, "waited")
    assert sorted(zip(waited["y"], waited["x"], strict=True)) == [("model", 1.0), ("stats", 1.0)]
    assert _trace(figure, "kernel started")["x"] == [0.5]
    assert "took 34 s" in figure.text
    assert "57% of the time of its 2 slots" in figure.text  # 39 of 68 slot-seconds
    assert "clean → model → model (attempt 2) → publish, 29 s of it" in figure.text


def test_a_graph_has_the_time_of_each_command(facts, named) -> None:
    """All attempts together, and the critical path as edges of their own."""
    figure = _drawn(of_run.graph(timing(facts(named(1)))))
    (nodes,) = [trace for trace in figure.data if trace["mode"] == "markers+text"]
    assert dict(zip(nodes["text"], nodes["marker"]["color"], strict=True)) == {
        "clean": 10.0, "model": 15.0, "stats": 10.0, "publish": 4.0,
    }  # fmt: skip
    assert len(_trace(figure, "critical path")["x"]) == 3 * 2  # two edges, each with a gap after it
    assert "model took longest, 15 s" in figure.text


def test_resources_are_those_that_were_measured(facts, named) -> None:
    """Processor time and memory of the one command that has them."""
    figure = _drawn(of_run.resources(timing(facts(named(1)))))
    cpu, memory = figure.data
    assert (cpu["y"], cpu["x"], memory["x"]) == (["clean"], [8.0], [200.0])
    assert "8.0 s of processor time; clean needed the most memory, 200 MB" in figure.text


def test_what_was_not_measured_has_no_axis(facts, named) -> None:
    """Of commands in threads there is processor time and no memory, and the other way round."""
    for name, kept in (("memory", "processor time (seconds)"), ("cpu", "most memory (MB)")):
        found = timing(facts(named(1)))
        spans = [
            msgspec.structs.replace(
                span, used=msgspec.structs.replace(span.used, **{name: None}) if span.used else None
            )
            for span in found.spans
        ]
        figure = _drawn(of_run.resources(msgspec.structs.replace(found, spans=tuple(spans))))
        assert len(figure.data) == 1
        assert figure.layout["xaxis"]["title"]["text"] == kept
        assert "xaxis2" not in figure.layout


def test_durations_have_limits_once_there_are_enough_runs() -> None:
    """Median, and three spreads by the median moving range; what lies outside is outlined."""
    seconds = [10.0, 11.0, 10.0, 11.0, 10.0, 11.0, 10.0, 11.0, 40.0]
    runs = pd.DataFrame(
        {
            "run": [f"r{number}" for number in range(9)], "workflow": "w", "state": "completed",
            "started": pd.date_range("2026-01-01", periods=9, tz="UTC"), "seconds": seconds,
        }
    )  # fmt: skip
    figure = _drawn(of_history.durations(runs))
    points = _trace(figure, "w")
    assert points["y"] == seconds
    assert points["marker"]["line"]["width"] == [0] * 8 + [3]
    lines = [trace["y"][0] for trace in figure.data if trace["mode"] == "lines"]
    assert lines == pytest.approx([11.0, 11.0 - 3 / 0.954, 11.0 + 3 / 0.954])
    assert "1 of 9 completed runs lay outside" in figure.text
    few = of_history.durations(runs.head(3))
    assert [trace["mode"] for trace in few.data] == ["markers"]


def test_where_the_time_goes_is_summed_by_kind(store: Path, named) -> None:
    """Running, starting kernels, waiting, and what came to nothing, by command and run."""
    figure = _drawn(of_history.time_spent(_digest(store, run=named(1))))

    def spent(name: str) -> dict:
        trace = _trace(figure, name)
        return dict(zip(trace["y"], trace["x"], strict=True))

    assert spent("ran") == {"clean": 9.5, "model": 10.0, "stats": 10.0, "publish": 4.0}
    assert spent("kernel started") == {"clean": 0.5}
    assert spent("waited") == {"model": 1.0, "stats": 1.0}
    assert spent("came to nothing") == {"model": 5.0}
    assert "Of 41 s in all attempts, 82% went into running" in figure.text


def test_efficiency_is_of_the_time_of_the_slots(store: Path) -> None:
    """Busy over slots times seconds, and the time in which nothing ran."""
    figure = _drawn(of_history.efficiency(History(store).runs(workflow="sales")))
    used, overhead = figure.data
    assert used["y"] == pytest.approx([57.35, 57.35])  # 39 of 68
    assert overhead["y"] == pytest.approx([5.88, 5.88])  # 2 of 34
    assert used["customdata"] == pytest.approx([1.15, 1.15])


def test_failures_are_counted_by_cause_and_command(store: Path) -> None:
    """The class of the exception without its module."""
    figure = _drawn(of_history.failures(_digest(store)))
    (trace,) = figure.data
    assert (trace["name"], trace["y"], trace["x"]) == ("TimeoutError", ["model", "model"], [1, 1])
    assert "2 attempts failed; the most frequent cause is TimeoutError (2)" in figure.text


def test_a_distribution_has_the_attempts_that_returned(store: Path, named) -> None:
    """A box for each command, the most expensive on top, with the run of each point."""
    figure = _drawn(of_history.distribution(_digest(store, workflow="sales")))
    boxes = {trace["name"]: trace["x"] for trace in figure.data}
    assert sorted(boxes["clean"]) == [10.0, 20.0]
    assert sorted(boxes["publish"]) == [4.0, 8.0]
    assert figure.data[0]["ids"] == [named(1), named(2)]


def test_a_trend_has_the_values_in_order(store: Path, named) -> None:
    """One line a command, the latest value in words."""
    history = History(store)
    values = history.trends("rmse")
    assert list(zip(values["run"], values["value"], strict=True)) == [(named(1), 3.0), (named(2), 4.0)]
    figure = _drawn(of_quality.trend(values, "rmse"))
    assert figure.data[0]["y"] == [3.0, 4.0]
    assert "sales · model: 4 in the latest of 2 runs, 3 in the first" in figure.text
    assert list(history.trends("seconds")["value"]) == [34.0, 68.0]
    assert list(history.trends("efficiency")["value"]) == pytest.approx([39 / 68, 39 / 68])
    assert list(history.trends("overhead")["value"]) == pytest.approx([2 / 34, 2 / 34])
    assert history.trends("ducks").empty
    assert history.metric_names() == ["rmse"]


def _checks(values: list[float]) -> pd.DataFrame:
    count = len(values)
    return pd.DataFrame(
        {
            "run": list("abcd"[:count]), "workflow": "w", "command": "model", "gate": "rmse < 3.5", "value": values,
            "verdict": ["passed" if value < 3.5 else "failed" for value in values], "expected": "rmse < 3.5",
            "at": pd.date_range("2026-01-01", periods=count, tz="UTC"),
        }
    )  # fmt: skip


def test_a_trend_has_its_threshold_and_what_happened_beside_it() -> None:
    """The level of the gate as a line, runs with deviations crossed, new code and checkpoints on the lower edge."""
    checks = _checks([3.0, 4.0, 2.0])
    values = checks[["run", "workflow", "command", "at", "value"]]
    marked = Marks(
        checks=checks,
        deviating=frozenset({"b"}),
        changes=values.loc[[1], ["run", "workflow", "command", "at"]],
        checkpoints=values.loc[[2], ["run", "workflow", "at"]],
    )
    figure = _drawn(of_quality.trend(values, "rmse", marked=marked))
    by_role = {trace["meta"]["role"]: trace for trace in figure.data}
    assert by_role["values"]["y"] == [3.0, 4.0, 2.0]
    assert (by_role["threshold"]["y"], by_role["threshold"]["name"]) == ([3.5, 3.5, 3.5], "gate: < 3.5")
    assert (by_role["deviating"]["ids"], by_role["deviating"]["y"]) == (["b"], [4.0])
    assert by_role["changed"]["text"] == ["b<br>code of model changed"]
    assert (by_role["checkpoint"]["ids"], by_role["checkpoint"]["yaxis"]) == (["c"], "y2")
    assert (
        "w · model: 2 in the latest of 3 runs, 3 in the first, 3 in the median. Its gate asks for < 3.5" in figure.text
    )
    assert [word for word in ("dashed line", "cross", "triangle", "diamond") if word in figure.words] == []
    assert [word for word in ("dashed line", "cross", "triangle", "diamond") if word not in figure.caption] == []
    assert figure.words.endswith(
        "Its gate asks for < 3.5. 1 run of these completed with deviations: b. In 1 run the code or the definition of a "
        "command was new, the last time that of model in b. 1 checkpoint of whole runs was taken."
    )
    warned = pd.concat([checks, checks.assign(expected="rmse < 1")])
    both = _drawn(of_quality.trend(values, "rmse", marked=Marks(checks=warned)))
    lines = [trace["y"] for trace in both.data if trace["meta"]["role"] == "threshold"]
    assert lines == [[1.0] * 3, [3.5] * 3]
    assert both.text.endswith("Its gates ask for < 1 and < 3.5.")
    assert both.marks == "The dashed lines are what they ask for."
    assert [trace["showlegend"] for trace in both.data if trace["meta"]["role"] == "threshold"] == [True, True]
    alike = pd.concat([checks, checks.assign(workflow="v")])
    twice = _drawn(of_quality.trend(alike[values.columns], "rmse", marked=Marks(checks=alike.assign(run=[*"abcdef"]))))
    shown = [trace["showlegend"] for trace in twice.data if trace["meta"]["role"] == "threshold"]
    assert shown.count(True) <= 1
    other = of_quality.trend(values, "rows", marked=marked)
    assert not [trace for trace in other.data if trace["meta"]["role"] == "threshold"]


def test_a_gate_over_time_has_what_it_found() -> None:
    """Numbers, crosses where it did not pass, and the threshold; nothing of a gate that finds no number."""
    figure = _drawn(of_gates.gate_trend(_checks([3.0, 4.0, 2.0, 3.4]), "rmse < 3.5"))
    found, threshold = figure.data
    assert (found["y"], found["marker"]["symbol"]) == ([3.0, 4.0, 2.0, 3.4], ["circle", "x", "circle", "circle"])
    assert threshold["y"] == [3.5] * 4
    assert figure.text == "4 checks, 1 of them not passed; 3.4 in the latest. It asks for < 3.5."
    assert figure.caption == f"{figure.text} A cross is a check that did not pass. The dashed line is what it asks for."
    assert figure.name == "gate-rmse-3.5"
    assert of_gates.gate_trend(_checks([3.0]), "rows").is_empty


def test_the_pareto_front_has_the_runs_that_none_beats() -> None:
    """Lower error and less time are better; nothing is claimed of few runs."""
    runs = pd.DataFrame(
        {"run": list("abcd"), "workflow": "w", "state": "completed", "seconds": [10.0, 20.0, 30.0, 25.0]}
    )
    values = pd.DataFrame(
        {"run": list("abcd"), "value": [5.0, 3.0, 4.0, 2.0], "at": pd.date_range("2026", periods=4, tz="UTC")}
    )
    figure = _drawn(of_quality.tradeoff(runs, values, "rmse"))
    front = _trace(figure, "best of w")
    assert (front["ids"], front["x"], front["y"]) == (["a", "b", "d"], [10.0, 20.0, 25.0], [5.0, 3.0, 2.0])
    assert "too few to tell" in figure.text
    assert "For rmse, lower is better." in figure.text


def test_a_relation_is_told_where_there_are_enough_runs() -> None:
    """Rank correlation with its probability, in words."""
    count = 12
    runs = pd.DataFrame(
        {
            "run": [f"r{number}" for number in range(count)], "workflow": "w", "state": "completed",
            "seconds": [float(number) for number in range(1, count + 1)],
        }
    )  # fmt: skip
    at = pd.date_range("2026", periods=count, tz="UTC")
    values = pd.DataFrame({"run": runs["run"], "value": [50.0 + number for number in range(count)], "at": at})
    text = of_quality.tradeoff(runs, values, "coverage").text
    assert "coverage rises with the time taken (rank correlation 1.00" in text
    assert "For coverage, higher is better." in text


def test_a_figure_of_nothing_says_why(tmp_path: Path) -> None:
    """No empty axes: a sentence."""
    history, nothing = History(tmp_path), _digest(tmp_path)
    for figure in (
        of_history.durations(history.runs()),
        of_history.efficiency(history.runs()),
        of_history.distribution(nothing),
        of_history.time_spent(nothing),
        of_history.failures(nothing),
        of_history.checkpoint_history(history.checkpoints()),
        of_quality.trend(history.trends("rmse"), "rmse"),
        of_run.timeline(timing([])),
        of_run.graph(timing([])),
        of_run.resources(timing([])),
    ):
        assert figure.is_empty
        assert len(figure.text) > 15


def test_a_checkpoint_is_a_point(tmp_path: Path) -> None:
    """How long it took in milliseconds, larger with more files."""
    taken = pd.DataFrame(
        {
            "run": ["r", "r"], "boundary": ["command", "completion"], "taken": [True, True], "id": ["r/1", "r/2"],
            "message": ["clean", None], "files": [4, 0], "seconds": [0.02, 0.04],
            "at": pd.date_range("2026", periods=2, tz="UTC"),
        }
    )  # fmt: skip
    figure = _drawn(of_history.checkpoint_history(taken))
    assert [trace["y"] for trace in figure.data] == [[20.0], [40.0]]
    assert "2 checkpoints of 1 run, 30 ms each in the median" in figure.text


def test_text_and_axes_can_be_read_in_both_themes() -> None:
    """The ink of figures stands out from white and from the dark ground of a page alike."""
    from orchestrator_nb.analytics.figures.figure import INK

    def luminance(colour: str) -> float:
        parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
        r, g, b = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
        return 0.2126 * r + 0.7152 * g + 0.0722 * b

    ink = luminance(INK)
    assert 1.05 / (ink + 0.05) > 3.8
    assert (ink + 0.05) / (luminance("#171c22") + 0.05) > 3.8


def test_verdicts_are_counted_by_gate() -> None:
    """How often each gate passed, and which one stood in the way."""
    gates = pd.DataFrame(
        {"run": ["r", "s", "s"], "gate": ["rmse", "rmse", "rows"], "verdict": ["passed", "failed", "passed"]}
    )
    figure = _drawn(of_gates.verdicts(gates))
    assert {trace["name"]: trace["y"] for trace in figure.data} == {"passed": ["rmse", "rows"], "failed": ["rmse"]}
    assert "3 checks of 2 gates, 67% passed; rmse stood in the way most often (1)" in figure.text
    assert of_gates.verdicts(gates.head(0)).is_empty


def test_verdicts_of_many_checks_are_summed(monkeypatch: pytest.MonkeyPatch) -> None:
    """What passed by periods, what did not by run; nothing is lost, and the sentence says so. Gates beyond the most are one."""
    monkeypatch.setattr(of_gates, "MOST_POINTS", 80)
    monkeypatch.setattr(of_gates, "MOST_GATES", 2)
    count = 120
    gates = pd.DataFrame(
        {
            "run": [f"r{number}" for number in range(count)], "workflow": "w", "at": pd.date_range("2026", periods=count, tz="UTC"),
            "gate": ["rmse", "rmse", "rows", "size", "time", "rmse"] * 20,
            "verdict": ["failed" if number % 24 == 0 else "passed" for number in range(count)],
        }
    )  # fmt: skip
    figure = _drawn(of_gates.verdicts(gates))
    passed, failed = _trace(figure, "passed"), _trace(figure, "failed")
    assert (sum(passed["x"]), sum(failed["x"])) == (115, 5)
    assert failed["ids"] == ["r0", "r24", "r48", "r72", "r96"]
    assert len(passed["x"]) <= 20
    assert set(passed["y"]) == {"rmse", "rows", of_gates.OTHER_GATES}
    assert sum(size for size, gate in zip(passed["x"], passed["y"], strict=True) if gate == "rmse") == 55
    assert "120 checks, 96% passed; rmse stood in the way most often (5)" in figure.text
    assert "2 gates that were checked most often are shown, 2 are not told apart" in figure.text
    assert "Checks that passed are summed by four weeks" in figure.text
