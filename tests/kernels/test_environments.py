"""Kernels of other environments of Python than the one that this process runs in."""

from __future__ import annotations

import os
import sys

import pytest

from orchestrator_nb.kernels.fork_server import ForkServer, servers
from orchestrator_nb.kernels.forked_process import NotForked

pytestmark = [
    pytest.mark.kernel,
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="kernels are forked on Linux only"),
]

SERVER = "__import__('os').getppid()"
WHERE = "[__import__('sys').prefix, __import__('sys').executable]"

PROXY = "import pkgutil\n__path__ = pkgutil.extend_path(__path__, __name__)\nfrom ipykernel.connect import *\n"

LISTENING = """
import sys
class Asked:
    names = []
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        cls.names.append(name.partition(".")[0])
sys.asked = Asked.names
sys.meta_path.insert(0, Asked)
"""


def test_each_environment_has_a_server_of_its_own(kernel, environment, tmp_path):
    """Kernels of three environments come from three servers, each run by its own interpreter; those of one from one."""
    there = {name: environment(name) for name in ("own", "other")}
    kernels = {name: kernel(name=name, preload=["yaml"]) for name in ("own", "other", "python3")}
    assert {name: each.way for name, each in kernels.items()} == dict.fromkeys(kernels, "forked")
    for name, made in there.items():
        assert kernels[name].value(WHERE) == [made.prefix, made.python]
    pids = {name: each.value(SERVER) for name, each in kernels.items()}
    assert len(set(pids.values())) == 3
    assert set(pids.values()) <= set(servers.pids)
    assert kernel(name="own", preload=["yaml"]).value(SERVER) == pids["own"]


def test_a_server_needs_python_and_the_kernel_only(kernel, environment):
    """It asks for none of the packages that ours needs, nor for ours as it may be installed there."""
    own = environment("own")
    (own.packages / "sitecustomize.py").write_text(LISTENING)
    (own.packages / "orchestrator_nb").mkdir()
    (own.packages / "orchestrator_nb" / "__init__.py").write_text("raise ImportError('an old one')\n")
    one = kernel(name="own")
    assert (one.way, one.why) == ("forked", None)
    asked = set(one.value("__import__('sys').asked"))
    assert {"ipykernel", "zmq"} <= asked
    assert not asked & {"msgspec", "pydantic", "papermill", "nbclient", "networkx", "rich", "typer"}
    assert one.value("'orchestrator_nb' in __import__('sys').modules") is False


def test_what_is_installed_there_is_imported_before(kernel, environment):
    """A module that only the other environment has is there before the first cell; one that it lacks does no harm."""
    own = environment("own")
    (own.packages / "only_there.py").write_text("")
    one = kernel(name="own", preload=["only_there", "only_elsewhere"])
    assert one.way == "forked"
    assert one.value("'only_there' in __import__('sys').modules") is True


def test_a_module_that_is_unfit_there_is_fit_elsewhere(kernel, environment):
    """What one environment's version of a module does at its import is not held against that of another."""
    start = "import threading\nthreading.Thread(target=threading.Event().wait, daemon=True).start()\n"
    (environment("own").packages / "same_name.py").write_text(start)
    (environment("other").packages / "same_name.py").write_text("")
    assert kernel(name="own", preload=["same_name"]).way == "plain"
    one = kernel(name="other", preload=["same_name"])
    assert one.way == "forked"
    assert one.value("'same_name' in __import__('sys').modules") is True


@pytest.mark.parametrize("version", ["5.5.6", "99.0.0"])
def test_an_unknown_kernel_is_not_forked(kernel, environment, version):
    """Where the other environment has a kernel too old or too new to be known, it is started plainly, and that is said;
    the next one is not tried."""
    own = environment("own")
    (own.packages / "ipykernel").mkdir()
    (own.packages / "ipykernel" / "__init__.py").write_text(PROXY)
    numbers = tuple(map(int, version.split(".")))
    (own.packages / "ipykernel" / "_version.py").write_text(
        f"__version__ = {version!r}\nversion_info = {numbers}\nkernel_protocol_version = '5.3'\n"
        "kernel_protocol_version_info = (5, 3)\n"
    )
    one = kernel(name="own")
    assert one.way == "plain"
    assert f"ipykernel {version} is not known" in one.why
    assert one.value(WHERE) == [own.prefix, own.python]
    assert servers.why_unable([own.python], dict(os.environ)) == one.why


def test_an_environment_without_a_kernel_says_so(environment, until):
    """The server of an environment without ipykernel answers what is missing there."""
    own = environment("own")
    (own.packages / "others.pth").unlink()
    server = ForkServer([own.python], [], dict(os.environ))
    try:
        process = server.fork({}, [0, 1, 2])
        with pytest.raises(NotForked, match="No module named 'ipykernel'") as refusal:
            until(lambda: process.is_decided)
        process.close()
        assert refusal.value.unable
    finally:
        server.close()


def test_a_fork_that_fails_late_is_not_repeated(kernel, environment, tmp_path):
    """A forked kernel that ends by itself before it is ready tells against forking in its environment."""
    environment("own")
    start = tmp_path / "start.py"
    start.write_text("import os, sys\nif '-c' in sys.orig_argv: os._exit(3)\n")  # a forked one
    variables = {"PYTHONSTARTUP": str(start)}
    one = kernel(name="own", env=variables, connected=False)

    async def connect():
        one.client.start_channels()
        await one.client.wait_for_ready(timeout=30)

    with pytest.raises(RuntimeError, match="ended before it was ready"):
        one.call(connect())
    two = kernel(name="own", env=variables)
    assert two.way == "plain"
    assert two.why == "an earlier forked kernel failed: the kernel ended before it was ready"
    assert kernel(name="own").way == "forked"  # others are not concerned
