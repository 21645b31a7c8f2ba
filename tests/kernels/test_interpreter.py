"""The command of a Python kernel, taken apart."""

from __future__ import annotations

import pytest

from orchestrator_nb.kernels.interpreter import Launch, launch

KERNEL = ("-m", "ipykernel_launcher", "-f", "c.json")


@pytest.mark.parametrize(
    "interpreter",
    [
        ("/a/bin/python",),
        ("/a/bin/python3",),
        ("/a/bin/python3.13t",),
        ("/a/bin/python", "-Xfrozen_modules=off", "-X", "dev", "-W", "ignore", "-s"),
    ],
)
def test_an_interpreter_with_options(interpreter):
    """What stands before the module is the interpreter, its options among it; what stands after it is the kernel's."""
    assert launch([*interpreter, *KERNEL]) == Launch(interpreter, ("-f", "c.json"))
    assert launch([*interpreter, "-m", "ipykernel"]) == Launch(interpreter, ())


@pytest.mark.parametrize(
    "command",
    [
        (),
        ("/a/bin/python",),
        ("/a/bin/python", "-X"),
        ("/a/bin/python", "-m"),
        ("python", *KERNEL),
        ("/bin/sh", *KERNEL),
        ("/usr/bin/docker", "run", "image", "python", *KERNEL),
        ("/opt/conda/bin/python", "/opt/conda/bin/conda", "run", "python", *KERNEL),
        ("/a/bin/python", "-m", "bash_kernel"),
        ("/a/bin/python", "-c", "import ipykernel_launcher"),
        ("/a/bin/python", "-c", "", *KERNEL),
    ],
)
def test_what_is_not_surely_an_interpreter_here(command):
    """Another language, a container, a wrapper, a bare name: nothing else is started by what they begin with."""
    assert launch(command) is None
