"""Forked kernels: each like one that was started from nothing, and gone when it has to go."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from orchestrator_nb.kernels.fork_server import ForkServer, servers

pytestmark = [
    pytest.mark.kernel,
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="kernels are forked on Linux only"),
]

OWNER = """
import asyncio, os, sys, tempfile
from orchestrator_nb.kernels.fork_server import servers
from orchestrator_nb.kernels.forking_manager import ForkingManager

async def start(name):
    at = tempfile.mkdtemp(dir=sys.argv[1])
    manager = ForkingManager(kernel_name=name, transport="ipc", ip=at + "/k", connection_file=at + "/c.json")
    await manager.start_kernel(extra_arguments=["--HistoryManager.hist_file=:memory:"], env=dict(os.environ))
    client = manager.client()
    client.start_channels()
    await client.wait_for_ready(timeout=30)
    client.execute(sys.argv[2])
    return manager

async def main():
    managers = [await start(name) for name in sys.argv[3:]]
    if os.fork() == 0:  # which holds the owner's ends of all sockets
        os.setsid()
        await asyncio.sleep(60)
    print(*(manager.provisioner.pid for manager in managers), *servers.pids, flush=True)
    await asyncio.sleep(60)

asyncio.run(main())
"""


def eventually(found, seconds=10.0):
    """Wait until `found()` is true and return how long it took."""
    began = time.monotonic()
    while not found():
        assert time.monotonic() - began < seconds, "it did not happen"
        time.sleep(0.005)
    return time.monotonic() - began


def is_running(pid):
    """Whether there is such a process that is more than an exit code to be collected."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def children(pid):
    return Path(f"/proc/{pid}/task/{pid}/children").read_text().split()


def test_siblings_share_nothing(kernel, tmp_path):
    """Two kernels of one server differ in random numbers, ids and directories, and see nothing of each other."""
    ask = (
        "[__import__('random').random(), float(__import__('numpy').random.random()), str(__import__('uuid').uuid1()),"
        " float(__import__('numpy').random.default_rng().random()), __import__('tempfile').mktemp(),"
        " __import__('multiprocessing').current_process().authkey.hex(), __import__('secrets').token_hex()]"
    )
    one = kernel(preload=["numpy"], cwd=tmp_path, env={"COLOUR": "red"})
    one.run("import sys, os; mine = 1; sys.mine = 1; os.environ['MINE'] = '1'; sys.path.insert(0, '/mine')")
    two = kernel(preload=["numpy"], cwd="/", env={"COLOUR": "blue"})
    assert (one.way, two.way) == ("forked", "forked")
    assert two.value("'mine' in globals() or hasattr(__import__('sys'), 'mine')") is False
    assert two.value("'MINE' in __import__('os').environ or '/mine' in __import__('sys').path") is False
    for kept, other in zip(one.value(ask), two.value(ask), strict=True):
        assert kept != other
    where = "[__import__('os').getcwd(), __import__('os').environ['COLOUR']]"
    assert (one.value(where), two.value(where)) == ([str(tmp_path), "red"], ["/", "blue"])
    assert one.value("__import__('os').getppid()") == two.value("__import__('os').getppid()") in servers.pids


def test_a_fork_looks_like_a_plain_start(kernel, tmp_path, monkeypatch):
    """Signals, session, path, modules of ours and standard input are what a plainly started kernel has."""
    ask = (
        "dict(signals=[str(signal.getsignal(each)) for each in (signal.SIGINT, signal.SIGTERM, signal.SIGCHLD)],"
        " path=sys.path, ours='orchestrator_nb' in sys.modules, terminal=os.isatty(0), collects=gc.isenabled(),"
        " program=os.path.basename(sys.argv[0]), mask=oct(os.umask(0o77)), kernel=type(get_ipython().kernel).__name__,"
        " variables=sorted(set(os.environ) - {'JPY_PARENT_PID', 'ORCHESTRATOR_NB_KERNELS'}), name=__name__,"
        " process=multiprocessing.current_process().name, names=sorted(globals()),"
        " threads=sorted({each.name for each in threading.enumerate()} - {'Heartbeat', 'Shell channel', 'Thread-1', 'Control'}))"
    )
    imports = "import gc, json, multiprocessing, os, signal, sys, threading"
    found = {}
    for way in ("forked", "plain"):
        if way == "plain":
            monkeypatch.setenv("ORCHESTRATOR_NB_KERNELS", way)
        each = kernel(cwd=tmp_path, env={"PYDEVD_USE_FRAME_EVAL": "NO"})  # which the debugger would set
        assert each.way == way
        each.run(imports)
        found[way] = each.value(ask)
    assert found["forked"] == found["plain"]


def test_the_environment_that_others_see_has_the_marks(kernel):
    """Processes of an attempt are found by their environment, as it is read from outside."""
    one = kernel(env={"ORCHESTRATOR_NB_ATTEMPT": "run/command/1", "ORCHESTRATOR_NB_RUN": "run"})
    seen = Path(f"/proc/{one.pid}/environ").read_bytes().split(b"\0")
    assert {b"ORCHESTRATOR_NB_ATTEMPT=run/command/1", b"ORCHESTRATOR_NB_RUN=run"} <= set(seen)
    (server,) = {one.value("__import__('os').getppid()")}
    assert b"ORCHESTRATOR_NB_ATTEMPT" not in Path(f"/proc/{server}/environ").read_bytes()


@pytest.mark.parametrize("code", ["import time; time.sleep(60)", "while True: pass"])
def test_an_interrupt_ends_the_cell(kernel, tmp_path, code):
    """A sleeping and a busy cell end with KeyboardInterrupt, and the kernel goes on."""
    one = kernel()
    begun = tmp_path / "begun"
    busy = one.start(f"open({str(begun)!r}, 'w').close()\n{code}")
    eventually(begun.exists, 30)
    one.call(one.manager.interrupt_kernel())
    assert str(busy.exception(30)) == "KeyboardInterrupt"
    assert one.value("1 + 1") == 2


@pytest.mark.parametrize(
    ("end", "code"),
    [
        (lambda each: os.kill(each.pid, signal.SIGKILL), -signal.SIGKILL),
        (lambda each: each.process.terminate(), -signal.SIGTERM),
        (lambda each: each.client.execute("import os; os._exit(3)"), 3),
    ],
    ids=["killed", "terminated", "left"],
)
def test_its_end_is_known_with_its_code(kernel, end, code):
    """However a kernel ends, its owner knows at once, with the exit code."""
    one = kernel()
    told = asyncio.run_coroutine_threadsafe(one.manager.provisioner.exited(), one._loop)
    end(one)
    told.result(10)
    assert one.process.poll() == code
    assert one.process.alone


def test_what_it_leaves_behind_is_known(kernel):
    """A process that left the kernel's session and outlives it is told of; it is a child of the server then."""
    one = kernel()
    left = int(one.run("import subprocess as s; print(s.Popen(['sleep', '60'], start_new_session=True).pid)"))
    try:
        os.kill(one.pid, signal.SIGKILL)
        assert one.process.wait(10) == -signal.SIGKILL
        assert one.process.alone is False
    finally:
        os.kill(left, signal.SIGKILL)
    eventually(lambda: not Path(f"/proc/{left}").exists())  # the server collects it


def test_graceful_shutdown_flushes_files(kernel, tmp_path):
    """What a cell wrote into a file that it left open is on disk, handlers for the end were called, the code is 0."""
    one = kernel(cwd=tmp_path)
    one.run("import atexit; file = open('open.txt', 'w'); file.write('kept')")
    one.run("atexit.register(lambda: open('exit.txt', 'w').write('called'))")
    one.call(one.manager.shutdown_kernel())
    assert (tmp_path.joinpath("open.txt").read_text(), tmp_path.joinpath("exit.txt").read_text()) == ("kept", "called")
    assert one.process.returncode == 0


def test_shared_memory_is_cleaned_up_at_once(kernel):
    """A kernel that leaves shared memory behind ends without a wait for what cleans it up, which has done so then."""
    one = kernel()
    code = "from multiprocessing import shared_memory as s; block = s.SharedMemory(create=True, size=99); print(block.name)"
    name = one.run(code).strip()
    assert Path("/dev/shm", name).exists()
    began = time.monotonic()
    one.call(one.manager.shutdown_kernel())
    assert time.monotonic() - began < 3.0  # ipykernel takes more than four seconds, and kills it
    assert not Path("/dev/shm", name).exists()
    assert one.process.returncode == 0


@pytest.mark.parametrize(
    ("code", "names"),
    [
        ("import time; time.sleep(60)", ["python3"]),
        ("import re; re.match('(a*)*b', 'a' * 40)", ["python3"]),
        ("import time; time.sleep(60)", ["own", "other"]),
    ],
)
def test_nothing_outlives_a_killed_owner(tmp_path, environment, code, names):
    """A second after kill -9 of the owner its kernels, busy in C or not, and their servers, those of other environments
    among them, are gone."""
    for name in {"own", "other"}.intersection(names):
        environment(name)
    owner = subprocess.Popen(
        [sys.executable, "-c", OWNER, str(tmp_path), code, *names],
        stdout=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip
    try:
        pids = [int(word) for word in owner.stdout.readline().split()]
        assert len(pids) == 2 * len(names)
        assert all(map(is_running, pids))
    finally:
        others = children(owner.pid)
        owner.kill()
        owner.wait()
    assert eventually(lambda: not any(map(is_running, pids))) < 1.0
    for pid in map(int, others):
        if is_running(pid):
            os.kill(pid, signal.SIGKILL)
    owner.stdout.close()


def test_kernels_die_with_their_server(kernel):
    """When the server is killed, its kernels are, and their owners know; the next kernel has a new server."""
    one = kernel()
    server = one.value("__import__('os').getppid()")
    os.kill(server, signal.SIGKILL)
    assert one.process.wait(10) == -signal.SIGKILL
    two = kernel()
    assert two.way == "forked"
    assert two.value("__import__('os').getppid()") != server


def test_an_idle_server_leaves():
    """A server that has had no kernel for its time ends by itself."""
    server = ForkServer([sys.executable], (), dict(os.environ), idle=0.2)
    eventually(lambda: not server.is_alive)
    server.close()


@pytest.mark.timeout(300)
def test_two_hundred_kernels_leave_nothing(kernel, tmp_path):
    """After many kernels neither owner nor server holds more descriptors, processes, memory or files than before."""
    private = {"TMPDIR": str(tmp_path)}

    def held():
        maps = [Path(f"/proc/{pid}/maps").read_text().count("/dev/shm/") for pid in (server, "self")]
        counts = [len(os.listdir(f"/proc/{pid}/{what}")) for pid in (server, "self") for what in ("fd", "task")]
        return [*maps, *counts, len(children(server)), len(os.listdir(tmp_path))]

    def start(*, connected):
        one = kernel(preload=["numpy"], env=private, connected=connected)
        assert one.way == "forked"
        return one

    first = start(connected=True)
    server = first.value("__import__('os').getppid()")
    first.close()
    before = None
    for number in range(200):
        one = start(connected=number % 20 == 0)
        if number % 20 == 0:
            one.run("import tempfile; import numpy; numpy.linalg.inv(numpy.eye(100)); tempfile.TemporaryFile()")
        else:  # killed, which must leave no more behind
            one.process.kill()
            one.process.wait(10)
        one.close()
        before = held() if number == 20 else before
    eventually(lambda: all(now <= then for now, then in zip(held(), before, strict=True)))  # zmq closes behind us
