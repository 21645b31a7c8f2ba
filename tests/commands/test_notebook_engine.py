"""Our engine beside papermill's own: the same notebooks and verdicts, and the truth where papermill has none."""

from __future__ import annotations

import importlib.metadata
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import nbformat
import pytest

from orchestrator_nb.commands.notebooks.engine import NAME, import_papermill
from orchestrator_nb.errors import DefinitionError

pytestmark = pytest.mark.kernel

ROOT = Path(__file__).resolve().parents[2]
KERNEL = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}


def write(path, *cells):
    v4 = nbformat.v4
    made = [v4.new_code_cell(cell) if isinstance(cell, str) else cell for cell in cells]
    nbformat.write(v4.new_notebook(cells=made, metadata=KERNEL), path)
    return str(path)


def tagged(source, tag):
    return nbformat.v4.new_code_cell(source, metadata={"tags": [tag]})


SHOWING = """
from IPython.display import HTML, Markdown, clear_output, display
import pandas as pd, sys
handle = display("first", display_id="one")
print("to be cleared")
clear_output()
print("out"); print("err", file=sys.stderr)
display(HTML("<b>bold</b>"), Markdown("*text*"))
pd.DataFrame({"a": [1, 2], "b": ["x", "ä"]})
"""
RICH = """
from IPython.display import *
class Odd:
    def _repr_html_(self): return "<i>odd</i>"
    def _repr_png_(self): return b"\\x89PNG"
    def _repr_mimebundle_(self, **_): return {"application/x-odd+json": {"b": [1, {"a": None}]}, "text/plain": "odd"}
class Broken:
    def __repr__(self): raise ValueError("no text")
display(Latex("$x^2$"), JSON({"b": [1, 2]}), SVG("<svg xmlns='http://www.w3.org/2000/svg'/>"), Javascript("1"), Code("x = 1"))
display(Odd(), {"text/plain": "raw", "text/html": "<b/>"}, metadata={"a": 1})
display({"text/plain": "raw"}, raw=True, metadata={"isolated": True})
Odd()
"""
MAGICS = """
import os, tempfile
%env COLOUR=blue
%cd -q {tempfile.mkdtemp()}
print(os.environ["COLOUR"])
"""
WIDGETS = """
from comm import create_comm
state = {"_model_name": "IntModel", "_model_module": "numbers", "_model_module_version": "1.0.0", "value": 1}
widget = create_comm(target_name="jupyter.widget", data={"state": state, "buffer_paths": []}, metadata={"version": "2.1.0"},
                     comm_id="1234")
widget.send({"method": "update", "state": {"value": 42, "data": None}, "buffer_paths": [["data"]]}, buffers=[b"abc"])
"""
NOTEBOOKS = {
    "rich": [
        nbformat.v4.new_markdown_cell("![a](attachment:a.png)", attachments={"a.png": {"image/png": "QQ=="}}),
        RICH,
        "Broken()",
        "class Shown:\n    def __repr__(self): return 'line one\\nline two'\n[Shown(), 'ä\\u2028', b'x', 1e300, None]",
        "_, __, Out, len(In)",
        "import pandas as pd\npd.Series([1.5, None], name='ä').to_frame().style.set_uuid('u')",
    ],
    "magics": [
        MAGICS,
        "%%capture kept\nprint('kept')",
        "kept.stdout",
        "%%bash\necho out",
        "%%bash\necho err >&2",  # by itself: which of two streams is read first is not ours to say
        "!echo shell; exit 3",
        "words = !echo a b\nwords, _exit_code",
        "%%writefile beside.txt\ntext",
        "%who\n%history -n 1-2",
        "import math\nmath.sqrt?",
        "%no_such_magic",
    ],
    "asynchronous": [
        "import asyncio\nasync def later(number):\n    await asyncio.sleep(0.01)\n    print(number)\n    return number",
        "await asyncio.gather(*map(later, range(3)))",
        "async def each():\n    for number in range(2):\n        yield await later(number)\n[number async for number in each()]",
        "background = asyncio.ensure_future(later(9))\nawait background; print('so')",
        "await asyncio.wait_for(asyncio.sleep(9), 0.01)",
        "never",
    ],
    "clearing": [
        "from IPython.display import clear_output, display\nfor number in range(3):\n    clear_output(wait=True)\n    print(number)",
        "handle = display('one', display_id='x')\nclear_output()\nhandle.update('two')\ndisplay('three', display_id='x')",
        "handle.update('four')\nprint('a\\rb', end='')\nprint('cc\\b\\bd')",
        "import sys, warnings, logging\nprint('err', file=sys.stderr)\nlogging.warning('careful')\nprint('x' * 100_000)",
        "input('who? ')",
    ],
    "threads and processes": [
        "import threading\nthread = threading.Thread(target=print, args=['thread'])\nthread.start(); thread.join()",
        "import multiprocessing as m\nchild = m.get_context('fork').Process(target=print, args=['child'])\nchild.start(); child.join()",
        "from concurrent.futures import ProcessPoolExecutor\nwith ProcessPoolExecutor(2) as pool:\n    print(list(pool.map(abs, [-1, 2])))",
        "import subprocess, sys\nsubprocess.run([sys.executable, '-c', 'print(6 * 7)'], capture_output=True, text=True).stdout",
    ],
    "chained": [
        "try:\n    {}['key']\nexcept KeyError as error:\n    raise RuntimeError('wrapped \\x1b[31mred\\x1b[0m') from error",
    ],
    "interrupted by itself": ["raise KeyboardInterrupt"],
    "widgets": [WIDGETS, "widget.comm_id"],
    "showing": [
        nbformat.v4.new_markdown_cell("# A title"),
        tagged("count = 1\nname = 'none'", "parameters"),
        SHOWING,
        "handle.update('second')\ncount, name",
        "",
        nbformat.v4.new_raw_cell("raw"),
        tagged("print('never')", "skip-execution"),
        "handle = display('here', display_id='two')",
        "import os\nos.getcwd().split('/')[-1], [k for k in sys.argv if k.endswith('py')] and 'argv'",
    ],
    "raising": ["x = 1", "def f():\n    return 1 / 0\n\nf()", "print('never')"],
    "allowed": [tagged("raise ValueError('allowed')", "raises-exception"), "2"],
    "syntax": ["x = (", "print('never')"],
    "leaving": ["print('before')", "import sys; sys.exit(0)", "print('never')"],
    "leaving with a code": ["import sys; sys.exit(3)", "print('never')"],
    "no cells": [],
}
TIMES = re.compile(r"^\d{4}-\d\d-\d\dT[\d:.+Z]+$")


def normalised(path):
    """Return a notebook without what differs from run to run: times, random ids, its own path."""
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)

    def cleaned(item):
        if isinstance(item, dict):
            return {
                key: "…" if key in ("id", "duration", "output_path") else cleaned(value) for key, value in item.items()
            }
        if isinstance(item, list):
            return [cleaned(each) for each in item]
        return "…" if isinstance(item, str) and TIMES.match(item) else item

    for cell in notebook.cells:
        merged = []
        for output in cell.get("outputs", ()):
            same = merged and output.output_type == "stream" == merged[-1].output_type
            if same and merged[-1].name == output.name:
                merged[-1].text += output.text
            else:
                merged.append(output)
        if "outputs" in cell:  # the two streams come over pipes of their own
            streams = [output for output in merged if output.output_type == "stream"]
            others = [output for output in merged if output.output_type != "stream"]
            cell.outputs = [*sorted(streams, key=lambda output: output.name), *others]
    return cleaned(notebook)


@pytest.fixture
def short():
    """Return a folder with a path short enough for sockets below it."""
    with tempfile.TemporaryDirectory(
        dir=None if sys.platform == "win32" else "/tmp", prefix="t-", ignore_cleanup_errors=True
    ) as folder:
        yield folder


def own_manager(folder):
    """Return papermill's own way to start a kernel, but for the ports, which others may take before the kernel does."""
    from jupyter_client.manager import AsyncKernelManager
    from traitlets import default

    class Manager(AsyncKernelManager):
        @default("transport")
        def _no_ports(self):
            return "tcp" if sys.platform == "win32" else "ipc"

        @default("ip")
        def _place(self):
            return "127.0.0.1" if sys.platform == "win32" else f"{folder}/k"

    return {"kernel_manager_class": Manager}


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_outputs_and_verdicts_are_papermills_own(tmp_path, short, name):
    """The same output notebook, states, marks of errors and exceptions included, whoever ran it."""
    papermill = import_papermill()
    source = write(tmp_path / "in.ipynb", *NOTEBOOKS[name])
    verdicts, notebooks = [], []
    for engine in (None, NAME):
        path = tmp_path / f"out-{engine}.ipynb"
        try:
            papermill.execute_notebook(
                source, str(path), {"count": 2} if name == "showing" else None, engine_name=engine, progress_bar=False,
                **(own_manager(short) if engine is None else {}),
            )  # fmt: skip
            verdicts.append("ran")
        except papermill.PapermillExecutionError as error:
            verdicts.append((type(error), error.ename, error.evalue, error.cell_index, error.exec_count))
        notebooks.append(normalised(path))
    assert verdicts[0] == verdicts[1]
    assert notebooks[0] == notebooks[1]


def states(path):
    return [cell.metadata.papermill.status for cell in nbformat.read(path, as_version=4).cells]


def test_a_dead_kernel_is_told_truly(tmp_path):
    """After its kernel died the cell has failed with all that it had shown, and the rest was never run."""
    from nbclient.exceptions import DeadKernelError

    papermill = import_papermill()
    dying = 'import os, time\nprint("last words", flush=True)\ntime.sleep(1.5)\nos._exit(1)'
    source = write(tmp_path / "in.ipynb", "x = 1", dying, "print('never')")
    with pytest.raises(DeadKernelError):
        papermill.execute_notebook(source, str(tmp_path / "out.ipynb"), engine_name=NAME, progress_bar=False)
    assert states(tmp_path / "out.ipynb") == ["completed", "failed", "pending"]
    notebook = nbformat.read(tmp_path / "out.ipynb", as_version=4)
    assert notebook.metadata.papermill.exception is True
    assert notebook.cells[1].outputs[0].text == "last words\n"


@pytest.mark.parametrize("interrupt", [False, True])
def test_a_timeout_ends_a_cell_that_ignores_interrupts(tmp_path, interrupt):
    """Interrupted once where that is asked for, then it is over; papermill's own engine would interrupt for ever."""
    from nbclient.exceptions import CellTimeoutError

    papermill = import_papermill()
    deaf = "import signal\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\nwhile True:\n    pass"
    source = write(tmp_path / "in.ipynb", "x = 1", deaf, "print('never')")
    with pytest.raises(CellTimeoutError):
        papermill.execute_notebook(
            source, str(tmp_path / "out.ipynb"), engine_name=NAME, progress_bar=False, execution_timeout=3,
            interrupt_on_timeout=interrupt,
        )  # fmt: skip
    assert states(tmp_path / "out.ipynb") == ["completed", "failed", "pending"]


def test_the_host_keeps_its_signal_handlers_and_its_directory(tmp_path):
    """Run in the main thread, the engine leaves handlers and working directory as they are; `env` reaches the kernel
    and no file."""
    papermill = import_papermill()
    seen = (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM), os.getcwd())
    source = write(tmp_path / "in.ipynb", "import os\nlen(os.environ['SECRET']), os.getcwd()")
    out = tmp_path / "out.ipynb"
    papermill.execute_notebook(
        source, str(out), engine_name=NAME, progress_bar=False, env={"SECRET": "sesame-4711"},
        resources={"metadata": {"path": str(tmp_path)}},
    )  # fmt: skip
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM), os.getcwd()) == seen
    text = out.read_text(encoding="utf-8")
    assert "sesame" not in text
    assert f"(11, '{tmp_path}')" in text


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="kernels are forked on Linux only")
def test_what_is_named_is_imported_before_the_fork(tmp_path, monkeypatch):
    """With the variable set, what papermill runs on our engine comes from a server that has those modules."""
    monkeypatch.setenv("ORCHESTRATOR_NB_PRELOAD", "numpy")
    source = write(tmp_path / "in.ipynb", "import sys\n'numpy' in sys.modules, 'numpy' in globals()")
    done = import_papermill().execute_notebook(source, None, engine_name=NAME, progress_bar=False)
    assert done.cells[0].outputs[0].data["text/plain"] == "(True, False)"


def test_the_name_of_a_parameter_cannot_become_code(tmp_path):
    """papermill writes any name into the cell of parameters; nothing of it is run."""
    papermill = import_papermill()
    source = write(tmp_path / "in.ipynb", "x = 1")
    canary = tmp_path / "canary"
    names = {f"x = 1; open({str(canary)!r}, 'w'); y": 1}
    with pytest.raises(DefinitionError, match="cannot have the name"):
        papermill.execute_notebook(source, str(tmp_path / "out.ipynb"), names, engine_name=NAME, progress_bar=False)
    assert not canary.exists()


@pytest.mark.skipif(sys.platform == "win32", reason="devices are files on Unix")
def test_a_device_is_written_to_and_not_replaced(tmp_path):
    """An output path that is no plain file is written as papermill does; a link's target is what is replaced."""
    papermill = import_papermill()
    source = write(tmp_path / "in.ipynb", "x = 1")
    (tmp_path / "real.ipynb").write_text("{}", encoding="utf-8")
    (tmp_path / "link.ipynb").symlink_to("real.ipynb")
    papermill.execute_notebook(source, str(tmp_path / "link.ipynb"), engine_name=NAME, progress_bar=False)
    assert (tmp_path / "link.ipynb").is_symlink()
    assert states(tmp_path / "real.ipynb") == ["completed"]
    (tmp_path / "null.ipynb").symlink_to(os.devnull)
    papermill.execute_notebook(source, str(tmp_path / "null.ipynb"), engine_name=NAME, progress_bar=False)
    assert not Path(os.devnull).is_file()


@pytest.fixture
def command_line(tmp_path):
    """Return the arguments and the environment with which papermill's command line finds the declared entry point."""
    (declared,) = re.findall(
        r'^\[project\.entry-points\."papermill\.engine"\]\n(.+)\n', (ROOT / "pyproject.toml").read_text(), re.MULTILINE
    )
    name, target = json.loads("[" + re.sub(r"^(\w+) = ", r'"\1", ', declared) + "]")
    assert importlib.metadata.EntryPoint(name, target, "papermill.engine").load()
    installed = tmp_path / "site" / "engine_entry-1.dist-info"
    installed.mkdir(parents=True)
    (installed / "METADATA").write_text("Metadata-Version: 2.1\nName: engine-entry\nVersion: 1\n")
    (installed / "entry_points.txt").write_text(f"[papermill.engine]\n{name} = {target}\n")
    paths = [str(ROOT), str(installed.parent), os.environ.get("PYTHONPATH", "")]
    argv = [sys.executable, "-W", "ignore", "-m", "papermill", "--engine", NAME, "--no-progress-bar"]
    return argv, {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}


def test_papermills_command_line_finds_the_engine(tmp_path, command_line):
    """`papermill --engine orchestrator_nb` works, by the entry point that the project declares."""
    argv, environment = command_line
    write(tmp_path / "in.ipynb", tagged("count = 1", "parameters"), "print(count * 21)")
    done = subprocess.run(
        [*argv, "in.ipynb", "out.ipynb", "-p", "count", "2"], cwd=tmp_path, env=environment, capture_output=True,
        text=True, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert nbformat.read(tmp_path / "out.ipynb", as_version=4).cells[-1].outputs[0].text == "42\n"
    assert "TCP" not in done.stderr  # its sockets are files that only their user can reach


def test_a_notebook_whose_papermill_is_killed_is_whole_and_has_what_there_was(tmp_path, short, command_line):
    """After a kill -9 of papermill in the middle of a silent cell, the file has what that cell had printed."""
    argv, environment = command_line
    environment["TMPDIR"] = short  # where it leaves what it cannot remove any more
    write(tmp_path / "in.ipynb", "print('first')", "import time\nprint('so far', flush=True)\ntime.sleep(600)", "3")
    out = tmp_path / "out.ipynb"
    with subprocess.Popen([*argv, "in.ipynb", "out.ipynb"], cwd=tmp_path, env=environment) as running:
        deadline = time.monotonic() + 50
        while not (out.exists() and "so far\\n" in out.read_text(encoding="utf-8")):
            assert time.monotonic() < deadline
            time.sleep(0.05)
        running.kill()
    notebook = nbformat.read(out, as_version=4)
    nbformat.validate(notebook)
    assert states(out) == ["completed", "running", "pending"]
    assert notebook.cells[1].outputs[0].text == "so far\n"
