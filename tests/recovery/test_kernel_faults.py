"""Real faults inside the kernels of notebooks, told for what they are: by what the exceptions say, to their first cause."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import nbformat
import pytest

from orchestrator_nb import Workflow

CELLS = {
    "requests_503": "import requests\nrequests.get(address + '503').raise_for_status()",
    "requests_404": "import requests\nrequests.get(address + '404').raise_for_status()",
    "requests_refused": "import requests\nrequests.get('http://127.0.0.1:1/')",
    "httpx_503": "import httpx\nhttpx.get(address + '503').raise_for_status()",
    "httpx_404": "import httpx\nhttpx.get(address + '404').raise_for_status()",
    "urllib3_503": "import urllib3\nurllib3.request('GET', address + '503', retries=urllib3.Retry(1, status_forcelist=[503]))",
    "urllib_503": "from urllib.request import urlopen\nurlopen(address + '503')",
    "wrapped_503": (
        "import requests\ntry:\n    requests.get(address + '503').raise_for_status()\n"
        "except requests.RequestException as error:\n    try:\n        raise LookupError('no rates') from error\n"
        "    except LookupError as second:\n        raise RuntimeError('no report') from second"
    ),
    "locked": (
        "import sqlite3\nholder = sqlite3.connect('shared.db')\nholder.execute('create table if not exists t (x)')\n"
        "holder.execute('begin exclusive')\nsqlite3.connect('shared.db', timeout=0).execute('insert into t values (1)')"
    ),
    "full": "with open('/dev/full', 'wb', buffering=0) as full:\n    full.write(b'x')",
    "files": (
        "import os, resource\nresource.setrlimit(resource.RLIMIT_NOFILE, (len(os.listdir('/proc/self/fd')) + 8,) * 2)\n"
        "opened = [os.open(os.devnull, os.O_RDONLY) for _ in range(100)]"
    ),
    "memory": "bytearray(2**62)",
    "odd": (
        "class Odd(Exception):\n    @property\n    def response(self):\n        raise RuntimeError('ask me not')\n"
        "raise Odd('broken') from ConnectionRefusedError(111, 'refused')"
    ),
}
TOLD = {
    "requests_503": ("external_service_failure", True, "HTTP 503"),
    "requests_404": ("command_failure", False, "HTTP 404"),
    "requests_refused": ("external_service_failure", True, "errno 111 (ECONNREFUSED)"),
    "httpx_503": ("external_service_failure", True, "HTTP 503"),
    "httpx_404": ("command_failure", False, "HTTP 404"),
    "urllib3_503": ("external_service_failure", True, "HTTP 503"),
    "urllib_503": ("external_service_failure", True, "HTTP 503"),
    "wrapped_503": ("external_service_failure", True, "HTTP 503"),
    "locked": ("resource_contention", True, "database is locked"),
    "full": ("storage_limitations", True, "errno 28 (ENOSPC)"),
    "files": ("resource_exhaustion", True, "errno 24 (EMFILE)"),
    "memory": ("context_overflow", None, "MemoryError"),
    "odd": ("external_service_failure", True, "errno 111 (ECONNREFUSED)"),
}
"""What each is told for: the kind, whether it may pass by itself, and the evidence."""


class Answers(BaseHTTPRequestHandler):
    """Answers with the status that the path names."""

    def do_GET(self) -> None:
        self.send_error(int(self.path.strip("/")))

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def address(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The address of a service on this host, reached without any proxy."""
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    server = ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    server.server_close()


@pytest.mark.kernel
@pytest.mark.skipif(not Path("/dev/full").exists(), reason="faults of Linux")
def test_errors_inside_kernels_are_told_as_those_of_callables(project: Path, address: str) -> None:
    """HTTP statuses by three clients and urllib, also wrapped twice; locked databases, full disks, want of files and
    memory; and an exception whose own property raises."""
    v4 = nbformat.v4
    for name, source in CELLS.items():
        cells = [v4.new_code_cell(f"address = {address!r}"), v4.new_code_cell(source)]
        nbformat.write(v4.new_notebook(cells=cells), project / f"{name}.ipynb")
    commands = {name: {"notebook": f"{name}.ipynb", "retries": 0, "optional": True} for name in CELLS}
    result = Workflow.load({"workflow": "faults", "commands": commands}).run(check=False, slots=2)
    told = {}
    for name, record in result.commands.items():
        assert record.error is not None, name
        told[name] = (record.error.kind, record.error.transient, record.error.evidence[0].rpartition("\n")[2])
    assert told == TOLD
