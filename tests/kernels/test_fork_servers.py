"""Which server a kernel comes from, and when none will do."""

from __future__ import annotations

import os
import sys

import pytest

from orchestrator_nb.kernels.fork_server import server_environment, servers

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="kernels are forked on Linux only")

SERVER = "__import__('os').getppid()"


def test_the_environment_of_a_server(monkeypatch):
    """A server has the variables of its owner and what is read at import, but no marks, secrets and project paths."""
    monkeypatch.setenv("OWNERS", "1")
    asked = {"OWNERS": "1", "SECRET": "x", "OMP_NUM_THREADS": "1", "PYTHONPATH": "/p", "ORCHESTRATOR_NB_RUN": "r"}
    assert server_environment(asked) == {"OWNERS": "1", "OMP_NUM_THREADS": "1"}


@pytest.mark.kernel
def test_what_is_preloaded(kernel):
    """A preloaded module is there, unseen by the code; a kernel that needs less comes from the same server."""
    servers.close()  # another test's may be there that has just what the second one needs
    one = kernel(preload=["numpy"])
    two = kernel()
    assert one.value(SERVER) == two.value(SERVER)
    assert two.value("['numpy' in __import__('sys').modules, 'numpy' in globals()]") == [True, False]
    assert kernel(env={"OMP_NUM_THREADS": "1"}).value(SERVER) != one.value(SERVER)


@pytest.mark.kernel
def test_a_changed_module_gets_a_new_server(kernel, python):
    """After a preloaded file was changed the next kernel has the new version, while older kernels live on."""
    path = python / "versioned.py"
    path.write_text("version = 1\n")
    ask = "[__import__('versioned').version, 'versioned' in before]"
    look = "import sys; before = set(sys.modules)"
    one = kernel(name="own", preload=["versioned"])
    one.run(look)
    assert one.value(ask) == [1, True]
    path.write_text("version = 22\n")
    two = kernel(name="own", preload=["versioned"])
    two.run(look)
    assert two.value(ask) == [22, True]
    assert one.value("1") == 1
    assert one.value(SERVER) != two.value(SERVER)


@pytest.mark.kernel
def test_what_can_be_edited_is_never_preloaded(kernel, python, tmp_path):
    """Neither a module in editable form nor one of the project, on PYTHONPATH, is imported before the fork."""
    for name, place in (("edited", tmp_path / "checkout"), ("mine", tmp_path / "project")):
        place.mkdir()
        place.joinpath(f"{name}.py").write_text("")
    (python / "edited.pth").write_text(f"{tmp_path / 'checkout'}\n")
    one = kernel(name="own", preload=["edited", "mine"], env={"PYTHONPATH": str(tmp_path / "project")})
    assert one.way == "forked"
    one.run("import sys; before = set(sys.modules); import edited, mine")
    assert one.value("[name in before for name in ('edited', 'mine')]") == [False, False]


@pytest.mark.kernel
def test_a_library_with_threads_is_not_forked(kernel, python):
    """A library that starts a thread makes for a plain start with the reason; later ones are forked without it."""
    (python / "threads.py").write_text("import threading\nthreading.Thread(target=threading.Event().wait, daemon=True).start()\n")  # fmt: skip
    one = kernel(name="own", preload=["threads"])
    assert (one.way, one.why.startswith('"threads" started the thread')) == ("plain", True)
    two = kernel(name="own", preload=["threads"])
    assert two.way == "forked"
    assert two.value("'threads' in __import__('sys').modules") is False


@pytest.mark.kernel
def test_a_module_that_hides_a_preloaded_one_is_respected(kernel, tmp_path):
    """Where a project has a file of the same name as a preloaded library, its own is imported, as in a plain start."""
    tmp_path.joinpath("numpy.py").write_text("mine = True\n")
    one = kernel(preload=["numpy"], cwd=tmp_path)
    assert one.way == "plain"
    assert one.why == f'"{tmp_path / "numpy.py"}" hides a module that is already imported'
    assert one.value("__import__('numpy').mine") is True


@pytest.mark.kernel
def test_forking_can_be_switched_off(kernel, monkeypatch):
    """With the variable set nothing is forked, and that is said."""
    monkeypatch.setenv("ORCHESTRATOR_NB_KERNELS", "plain")
    one = kernel()
    assert (one.way, one.why) == ("plain", "ORCHESTRATOR_NB_KERNELS=plain is set")
    assert one.value(SERVER) == os.getpid()


@pytest.mark.kernel
def test_a_server_that_cannot_start_is_not_tried_again(kernel, python, tmp_path):
    """Where a server does not come up, kernels are started plainly, and no second server is tried."""
    count = tmp_path / "count"
    code = (
        "import os, sys\nif sys.argv[0] == '-c':\n"
        f"    open({str(count)!r}, 'a').write('x')\n    print('not today', file=sys.stderr, flush=True)\n    os._exit(7)\n"
    )
    (python / "sitecustomize.py").write_text(code)
    for _ in range(2):
        one = kernel(name="own")
        assert one.way == "plain"
        assert one.why.startswith("the fork server")
        assert one.why.endswith(": not today")
    assert count.read_text() == "x"
