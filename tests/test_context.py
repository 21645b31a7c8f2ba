"""What a command calls from inside: checked, sent to the sink of its attempt, harmless without one."""

from __future__ import annotations

import contextvars
import copy
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from orchestrator_nb import context
from orchestrator_nb.context import Lazy
from orchestrator_nb.errors import Cancelled, UsageError


class Kept:
    """A sink that keeps what it is told."""

    def __init__(self, **fields):
        self.ending = None
        self.told = []
        self.fields = {"upstream": {}, "partial": {}, "parameters": {}, "shared": {}, **fields}

    def record(self, name, value):
        self.told.append(("record", name, value))

    def metric(self, name, value):
        self.told.append(("metric", name, value))

    def progress(self, fraction, text):
        self.told.append(("progress", fraction, text))

    def artifact(self, path, name):
        self.told.append(("artifact", path, name))

    def share(self, name, value):
        self.fields["shared"][name] = value

    def read(self, name):
        if name == "shared":  # what is read is a copy, as every sink has it
            return Lazy(self.fields["shared"], copy.deepcopy)
        return self.fields.get(name)


@pytest.fixture
def sink():
    kept = Kept(command="clean", attempt=2, workflow_id="sales", parameters={"day": "2026-01-01"})
    token = context.install(kept)
    yield kept
    token.var.reset(token)


@pytest.fixture
def by_hand(monkeypatch):
    monkeypatch.delenv(context.VARIABLE, raising=False)


def test_calls_go_to_the_sink_of_the_attempt(sink, tmp_path):
    """Outputs, metrics, progress and artifacts arrive checked, and the calls return nothing."""
    plot = tmp_path / "plot.png"
    plot.write_bytes(b"png")
    assert context.record("rows", [1, 2]) is None
    context.metric("tokens", 1834)
    context.progress(0.4, "epoch 4 of 10")
    context.progress(7)
    context.artifact(str(plot))
    context.artifact(plot, "figure 1.png")
    assert sink.told == [
        ("record", "rows", [1, 2]),
        ("metric", "tokens", 1834.0),
        ("progress", 0.4, "epoch 4 of 10"),
        ("progress", 1.0, ""),
        ("artifact", plot, "plot.png"),
        ("artifact", plot, "figure 1.png"),
    ]


@pytest.mark.parametrize("name", ["", "two words", "1st", "a.b", "a-b", "x" * 101, None, 3])
def test_a_name_is_one_that_references_can_use(sink, name):
    """Anything but an identifier of at most 100 characters is refused, showing it."""
    for call in (context.record, context.metric):
        with pytest.raises(UsageError, match="cannot be a name"):
            call(name, 1)
    with pytest.raises(UsageError, match="cannot be a name"):
        context.shared[name] = 1
    assert sink.told == []


@pytest.mark.parametrize("value", [float("nan"), float("inf"), "3", None, True, 1j, [1]])
def test_a_metric_is_a_finite_real_number(sink, value):
    """Anything else is refused with what was found."""
    with pytest.raises(UsageError, match="expected a finite number"):
        context.metric("rmse", value)


def test_a_metric_may_come_from_numpy(sink):
    """The numbers of numpy are numbers."""
    np = pytest.importorskip("numpy")
    context.metric("rmse", np.float32(0.5))
    context.metric("rows", np.int64(3))
    assert [type(value) for _, _, value in sink.told] == [float, float]


def test_an_artifact_is_a_file_that_is_there(sink, tmp_path):
    """A folder, a missing file and a name with a path in it are refused."""
    with pytest.raises(UsageError, match="found nothing"):
        context.artifact("nowhere.png")
    with pytest.raises(UsageError, match="found a folder"):
        context.artifact(tmp_path)
    (tmp_path / "a").write_text("")
    with pytest.raises(UsageError, match="name of a file"):
        context.artifact(tmp_path / "a", "../a")


def test_what_a_run_knows_can_be_read(sink):
    """The seed's fields and the mappings are those of the attempt at the time of reading."""
    assert (context.command, context.attempt, context.workflow_id) == ("clean", 2, "sales")
    assert context.quality_requirements is None
    assert context.parameters["day"] == "2026-01-01"
    assert dict(context.parameters) == {"day": "2026-01-01"}
    assert context.shared_state is context.shared
    assert "workflow_id" in dir(context)
    with pytest.raises(KeyError, match='no upstream result "clean"; there is none'):
        context.upstream["clean"]
    with pytest.raises(AttributeError, match="nonsense"):
        context.nonsense  # noqa: B018 - asking is the test


def test_upstream_results_are_loaded_when_asked_for(sink):
    """Nothing is loaded before it is used, and each time anew."""
    loaded = []

    def load(source):
        loaded.append(source)
        return [source]

    sink.fields["upstream"] = Lazy({"a": 1, "b": 2}, load)
    assert "a" in context.upstream
    assert list(context.upstream) == ["a", "b"]
    assert len(context.upstream) == 2
    assert loaded == []
    context.upstream["a"].append("mine")
    assert context.upstream["a"] == [1]
    assert loaded == [1, 1]


def test_only_an_assignment_changes_the_shared_state(sink):
    """What is read of the shared state is a copy; a value is set by its name, never deleted."""
    context.shared["models"] = ["forest"]
    context.shared["models"].append("mine")
    assert context.shared["models"] == ["forest"]
    assert context.shared.get("other") is None
    with pytest.raises(UsageError, match="set it to None"):
        del context.shared["models"]


def test_every_call_of_an_attempt_that_is_to_end_raises(sink, tmp_path):
    """Whatever a command calls next after it was asked to end raises Cancelled with the reason, past `except Exception`."""
    sink.ending = "timeout"
    calls = [
        lambda: context.record("a", 1),
        lambda: context.metric("a", 1),
        lambda: context.progress(0.1),
        lambda: context.artifact(tmp_path),
        lambda: context.upstream.get("a"),
        lambda: context.shared.update(a=1),
        lambda: list(context.parameters),
        lambda: context.command,
    ]
    for call in calls:
        with pytest.raises(Cancelled, match="timeout"):
            try:
                call()
            except Exception:  # what a command might do
                pytest.fail("a command could have eaten it")
    assert sink.told == []


def test_attempts_at_the_same_time_have_their_own_sinks():
    """A sink is installed for a context: threads with contexts of their own do not meet."""
    sinks = [Kept(command=name) for name in ("a", "b")]
    meet = threading.Barrier(2)

    def command(sink):
        context.install(sink)
        meet.wait()
        context.record("who", context.command)

    threads = [threading.Thread(target=contextvars.Context().run, args=(command, sink)) for sink in sinks]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [sink.told for sink in sinks] == [[("record", "who", "a")], [("record", "who", "b")]]


def test_by_hand_values_are_shown(by_hand, capsys, tmp_path):
    """Without a run every call shows its value and does nothing else, and there is nothing to read."""
    (tmp_path / "plot.png").write_bytes(b"png")
    context.record("rows", [1])
    context.metric("rmse", 0.25)
    context.progress(0.4, "epoch 4")
    context.artifact(tmp_path / "plot.png")
    context.shared["by_hand"] = 1
    assert context.shared["by_hand"] == 1
    assert dict(context.upstream) == {}
    with pytest.raises(KeyError, match=r"attach\(\)\.result\.outputs"):
        context.upstream["clean"]
    assert context.command is None
    out = capsys.readouterr().out
    assert out.splitlines()[:3] == ["rows: [1]", "rmse = 0.25", " 40% epoch 4"]
    assert "plot.png: 3 bytes" in out


SINK_MODULE = """
print("imported", flush=True)
class Sink:
    ending = None
    def metric(self, name, value): print("metric", name, value, flush=True)
    def read(self, name): return name
def sink(): return Sink()
def nothing(): return None
"""


def child(folder: Path, named: str, code: str) -> subprocess.CompletedProcess[str]:
    (folder / "sinks.py").write_text(SINK_MODULE)
    path = os.pathsep.join([str(folder), *sys.path])
    env = {**os.environ, context.VARIABLE: named, "PYTHONPATH": path}
    return subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, timeout=60)


def test_a_process_gets_its_sink_from_the_environment(tmp_path):
    """A kernel or child process reaches the sink that a variable names, imported once, from any thread."""
    code = (
        "import threading\nfrom orchestrator_nb import context\ncontext.metric('a', 1)\n"
        "t = threading.Thread(target=context.metric, args=('b', 2)); t.start(); t.join(); print(context.command)"
    )
    done = child(tmp_path, "sinks:sink", code)
    assert done.stdout.splitlines() == ["imported", "metric a 1.0", "metric b 2.0", "command"], done.stderr


@pytest.mark.parametrize("named", ["sinks:missing", "no_such_module:sink", "sinks:nothing", "sinks"])
def test_a_sink_that_cannot_be_had_is_said(tmp_path, named):
    """A variable that names no sink is an error of the call, not silence: results would be lost."""
    done = child(tmp_path, named, "from orchestrator_nb import context\ncontext.metric('a', 1)")
    assert done.returncode == 1
    assert f'{context.VARIABLE}="{named}"' in done.stderr


def test_the_import_is_light():
    """A kernel that imports the context imports no other room and no third party."""
    code = "import sys; before = set(sys.modules)\nfrom orchestrator_nb import context\nprint(*sorted(set(sys.modules) - before))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    ours = [name for name in done.stdout.split() if name.startswith("orchestrator_nb")]
    assert ours == ["orchestrator_nb", "orchestrator_nb.context", "orchestrator_nb.errors"]
    assert not {"numpy", "pandas", "pydantic", "IPython"} & set(done.stdout.split())
