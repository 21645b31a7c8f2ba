"""In which way a kernel is to come to be: what is said in the variable, for the command, for the workflow, in this order."""

from __future__ import annotations

import sys

import nbformat
import pytest

from orchestrator_nb.commands.notebooks import kernel_way as module
from orchestrator_nb.commands.notebooks.command import NotebookCommand
from orchestrator_nb.commands.notebooks.kernel import Kernel
from orchestrator_nb.commands.notebooks.kernel_way import kernel_way, switch_mistake
from orchestrator_nb.definition.models import CommandDefinition, KernelsDefinition
from orchestrator_nb.events import AttemptReturned, KernelStarted

OURS = Kernel(name="python3", language="python", argv=(sys.executable, "-m", "ipykernel_launcher"))
OTHERS = {
    "is not the Python kernel": Kernel(name="bash", language="bash", argv=(sys.executable, "-m", "bash_kernel")),
    "does not begin with the path of a Python interpreter": Kernel(
        name="far", language="python", argv=("/bin/sh", "-c", "ssh far python -m ipykernel_launcher")
    ),
}


def said(start):
    return None if start is None else KernelsDefinition(start=start)


@pytest.mark.parametrize(
    ("switch", "own", "workflow", "start", "reason"),
    [
        (None, "plain", "pool", "plain", "the command says `kernels: plain`"),
        (None, None, "pool", "pool", "the workflow says `kernels: pool`"),
        (None, "pool", "plain", "pool", "the command says `kernels: pool`"),
        ("plain", "pool", "pool", "plain", "ORCHESTRATOR_NB_KERNELS=plain is set"),
        ("pool", "plain", None, "pool", "ORCHESTRATOR_NB_KERNELS=pool is set"),
    ],
)
def test_who_says_how_a_kernel_starts(monkeypatch, switch, own, workflow, start, reason):
    """The variable goes before the command, and the command before the workflow."""
    monkeypatch.delenv(module.SWITCH, raising=False)
    if switch is not None:
        monkeypatch.setenv(module.SWITCH, switch)
    found = kernel_way(OURS, said(own), said(workflow), {})
    assert (found.start, found.reason) == (start, reason)


@pytest.mark.parametrize("why", OTHERS)
def test_what_cannot_be_forked_comes_from_the_pool(monkeypatch, why):
    """Also where a fork was asked for; and the reason is told."""
    monkeypatch.delenv(module.SWITCH, raising=False)
    for own in (None, "fork"):
        found = kernel_way(OTHERS[why], said(own), None, {})
        assert found.start == "pool"
        assert why in found.reason


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="kernels are forked on Linux only")
def test_the_interpreter_of_another_environment_has_a_server_too(monkeypatch):
    """It is asked for by default, and the kernels of that environment alone do without it once it has proved unable."""
    monkeypatch.delenv(module.SWITCH, raising=False)
    there = Kernel(name="there", language="python", argv=("/there/bin/python", "-s", "-m", "ipykernel_launcher"))
    assert kernel_way(there, None, None, {}).start == "fork"
    unable = {there.interpreter: "its fork server did not start"}
    monkeypatch.setattr(module.servers, "why_unable", lambda python, _: unable.get(python))
    assert kernel_way(there, None, None, {}).reason == "its fork server did not start"
    assert kernel_way(OURS, None, None, {}).start == "fork"


def test_a_system_that_cannot_fork_has_a_pool(monkeypatch):
    """On another platform the same workflow is served from the pool, with a word on why."""
    monkeypatch.delenv(module.SWITCH, raising=False)
    monkeypatch.setattr(sys, "platform", "darwin")
    found = kernel_way(OURS, None, None, {})
    assert (found.start, found.reason) == ("pool", "kernels are forked on Linux only, this is darwin")


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="kernels are forked on Linux only")
def test_a_fork_that_was_refused_for_good_is_not_asked_for_again(monkeypatch):
    """What the server of this interpreter has said stays known, and kernels of the same kind come from the pool."""
    monkeypatch.delenv(module.SWITCH, raising=False)
    monkeypatch.setattr(module.servers, "why_unable", lambda *_: "its fork server did not start")
    assert kernel_way(OURS, said("fork"), None, {}).reason == "its fork server did not start"
    monkeypatch.setattr(module.servers, "why_unable", lambda *_: None)
    assert kernel_way(OURS, said("fork"), said("pool"), {}).start == "fork"


def test_a_word_that_the_variable_cannot_have_is_a_mistake(monkeypatch):
    """It is refused before the run, with the words that there are."""
    monkeypatch.setenv(module.SWITCH, "frok")
    mistake = switch_mistake()
    assert mistake is not None
    assert (mistake.found, mistake.expected, mistake.nearest) == ('"frok"', "fork, pool, plain", "fork")
    for word in ("fork", "pool", "plain", ""):
        monkeypatch.setenv(module.SWITCH, word)
        assert switch_mistake() is None


@pytest.mark.kernel
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="kernels are forked on Linux only")
@pytest.mark.parametrize(
    ("own", "workflow", "there"),
    [(["colorsys", "yaml"], ["json"], True), ([], ["yaml"], False), (None, ["yaml"], True)],
)
def test_what_is_imported_before_the_fork_can_be_said(Trial, tmp_path, monkeypatch, own, workflow, there):
    """The list of the command goes before that of the workflow; of both only what is installed is taken."""
    monkeypatch.delenv(module.SWITCH, raising=False)
    module.servers.close()  # one that has more would do as well
    cell = "import sys; from orchestrator_nb import context\ncontext.record('there', 'yaml' in sys.modules)"
    preload = KernelsDefinition(preload=tuple(workflow))
    kernels = None if own is None else KernelsDefinition(preload=tuple(own))
    trial = Trial(tmp_path, cell, kernels=kernels, work={"kernels": preload})
    assert isinstance(trial.run(), AttemptReturned)
    assert trial.values() == {"there": there}
    assert [event.way for event in trial.of(KernelStarted)] == ["forked"]


@pytest.mark.kernel
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="kernels are forked on Linux only")
def test_a_notebook_in_another_environment_is_forked_there(Trial, tmp_path, environment, monkeypatch):
    """It runs in that environment, with what it imports from there imported before."""
    monkeypatch.delenv(module.SWITCH, raising=False)
    own = environment("own")
    (own.packages / "only_there.py").write_text("")
    look = "import sys; print([sys.prefix, 'only_there' in sys.modules])"
    trial = Trial(tmp_path / "work", look, "import only_there", kernel="own")
    assert isinstance(trial.run(), AttemptReturned)
    assert [(event.way, event.reason) for event in trial.of(KernelStarted)] == [("forked", "")]
    assert trial.output().cells[0].outputs[0].text == f"{[own.prefix, True]}\n"


@pytest.mark.kernel
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="kernels are forked on Linux only")
def test_an_environment_that_cannot_fork_has_a_pool(Trial, tmp_path, environment, monkeypatch):
    """Its first kernel is started plainly, the next come from the pool; each time it is told why."""
    monkeypatch.delenv(module.SWITCH, raising=False)
    own = environment("own")
    refuse = "import sys\nif sys.argv[0] == '-c': sys.exit('not today')\n"
    (own.packages / "sitecustomize.py").write_text(refuse)
    for number, said in enumerate(("not today", "none that was started ahead was there for it")):
        trial = Trial(tmp_path / f"work{number}", "import sys; print(sys.prefix)", kernel="own")
        assert isinstance(trial.run(), AttemptReturned)
        assert [event.way for event in trial.of(KernelStarted)] == ["plain"]
        assert trial.of(KernelStarted)[0].reason.endswith(said)
        assert "not today" in trial.of(KernelStarted)[0].reason
        assert trial.output().cells[0].outputs[0].text == f"{own.prefix}\n"


def test_a_module_that_cannot_be_imported_before_the_fork_gives_a_note(tmp_path):
    """It is told before the run, not passed over in silence."""
    nbformat.write(nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("1")]), tmp_path / "a.ipynb")
    definition = CommandDefinition(
        id="a", notebook="a.ipynb", kernels=KernelsDefinition(preload=("numpy", "torch", "my_own"))
    )
    notes = [note for note in NotebookCommand().notes(definition, folder=tmp_path) if "forked" in note]
    assert [note.split('"')[1] for note in notes] == ["torch", "my_own"]
