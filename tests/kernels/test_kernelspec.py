"""Kernelspecs by which any Jupyter tool gets forked kernels."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from orchestrator_nb.kernels import kernelspec

ROOT = Path(kernelspec.__file__).parents[2]

TOOL = """
from jupyter_client.manager import start_new_kernel
manager, client = start_new_kernel(kernel_name="warm")
reply = client.execute_interactive("import sys; print('json' in sys.modules)")
print(type(manager.provisioner).__name__, manager.provisioner.way, manager.provisioner.why, reply["content"]["status"])
manager.restart_kernel(now=True)
client.wait_for_ready(timeout=60)
print(manager.provisioner.way, client.execute_interactive("sys")["content"]["ename"], client.hb_channel.is_beating())
client.stop_channels()
manager.shutdown_kernel()
"""


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A place for kernelspecs that nothing else looks at."""
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path / "share" / "jupyter"))
    return tmp_path


def test_install_list_remove(home):
    """A kernelspec is installed with its preloads, listed, and removed again."""
    kernelspec.install("Warm", preload=["numpy"], prefix=str(home))
    (spec,) = kernelspec.installed()
    assert (spec.name, spec.python, spec.preload) == ("warm", sys.executable, ("numpy",))
    assert spec.folder == home / "share" / "jupyter" / "kernels" / "warm"
    kernelspec.install("warm", prefix=str(home))
    assert kernelspec.installed()[0].preload == ()
    kernelspec.remove("warm")
    assert kernelspec.installed() == []


def test_kernelspecs_of_others_are_left_alone(home):
    """Neither is one replaced that was installed otherwise, nor removed."""
    with pytest.raises(ValueError, match='a kernel "python3" already'):
        kernelspec.install("python3", prefix=str(home))
    with pytest.raises(ValueError, match="there is: none"):
        kernelspec.remove("python3")


@pytest.mark.kernel
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="kernels are forked on Linux only")
def test_another_tool_gets_forked_kernels(home):
    """Through the entry point a program that knows only jupyter_client starts, restarts and ends a forked kernel."""
    kernelspec.install("warm", prefix=str(home))
    metadata = home / "metadata" / "orchestrator_nb-0.dist-info"
    metadata.mkdir(parents=True)
    metadata.joinpath("METADATA").write_text("Metadata-Version: 2.1\nName: forked-by-test\nVersion: 0\n")
    entry = f"{kernelspec.PROVISIONER} = orchestrator_nb.kernels.provisioner:ForkProvisioner"
    metadata.joinpath("entry_points.txt").write_text(f"[jupyter_client.kernel_provisioners]\n{entry}\n")
    path = os.pathsep.join([str(metadata.parent), str(ROOT)])
    done = subprocess.run(
        [sys.executable, "-c", TOOL],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ["True", "ForkProvisioner forked None ok", "forked NameError True"]


def test_the_entry_point_is_declared():
    """What pyproject declares is what a kernelspec names."""
    text = ROOT.joinpath("pyproject.toml").read_text(encoding="utf-8")
    assert f'{kernelspec.PROVISIONER} = "orchestrator_nb.kernels.provisioner:ForkProvisioner"' in text


def test_the_verb(home, capsys):
    """The command line installs, lists as JSON and removes."""
    from orchestrator_nb.cli.app import app

    for words in (["install", "--name", "warm", "--prefix", str(home), "--preload", "numpy, pandas"], ["list", "--json"],
                  ["remove", "warm"]):  # fmt: skip
        with pytest.raises(SystemExit) as left:
            app(["kernels", *words])
        assert left.value.code == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith('the kernel "warm" is in')
    assert json.loads(lines[1])[0]["preload"] == ["numpy", "pandas"]
    assert lines[2].startswith('removed the kernel "warm"')
