"""Retries of real runs are put off while what they need is missing, and made when it is there."""

from __future__ import annotations

import os
import socket
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from orchestrator_nb import Workflow
from orchestrator_nb import events as e
from orchestrator_nb.engine.replay import replay
from orchestrator_nb.journal.file import read
from orchestrator_nb.orchestrator.policies import POLICIES


class Answer(BaseHTTPRequestHandler):
    """Answers everything."""

    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"there")

    def log_message(self, *_):
        """Say nothing."""


@pytest.fixture
def service(monkeypatch):
    """A service that is away until it is opened; and where it will be."""
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    with socket.socket() as reserved:
        reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        reserved.bind(("127.0.0.1", 0))
        port = reserved.getsockname()[1]
    opened = []

    def open_it():
        opened.append(HTTPServer(("127.0.0.1", port), Answer))
        threading.Thread(target=opened[-1].serve_forever, daemon=True).start()

    yield f"http://127.0.0.1:{port}/", open_it
    for server in opened:
        server.shutdown()
        server.server_close()


def test_a_retry_waits_for_the_host_that_the_error_names(project, service):
    """The service comes back only after the retry was put off: the first retry there is succeeds, and why says so."""
    address, open_it = service
    flow = Workflow("w")

    @flow.command(retries=1, retry_delay=0.01)
    def fetch():
        from urllib.error import URLError
        from urllib.request import urlopen

        try:
            return urlopen(address, timeout=20).read().decode()
        except URLError as error:
            raise ConnectionError(f"{address}: {error}") from error

    put_off = []

    def when_put_off(events, state):
        for event in events:
            if isinstance(event, e.RetryScheduled) and event.put_off:
                put_off.append(event)
                if len(put_off) == 1:
                    open_it()

    run = flow.start(wait=False, observers=[when_put_off])
    result = run.wait(60)
    assert result.outputs["fetch"] == "there"
    assert run.state.commands["fetch"].attempt == 2
    facts = list(read(run.folder / "journal.jsonl"))
    probed = [fact for fact in facts if isinstance(fact, e.ResourcesProbed)]
    assert [bool(why) for look in probed for why in look.hosts.values()] == [True, False]
    assert probed[0].disk
    assert "cannot be reached" in put_off[0].reason
    story = str(run.why("fetch"))
    assert "was put off until" in story
    assert "is reached" in story
    assert replay(facts, policies=POLICIES).same


def test_a_retry_waits_for_open_files(project):
    """While hardly a file may be opened any more nothing is tried; once they are closed it goes on."""
    resource = pytest.importorskip("resource")
    flow = Workflow("w")
    taken = []

    @flow.command(retries=1, retry_delay=0.01)
    def read_it():
        from orchestrator_nb import context

        if context.attempt == 1:
            raise OSError(24, "Too many open files")
        return "read"

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)

    def when(events, state):
        for event in events:
            if isinstance(event, e.AttemptFailed):
                resource.setrlimit(resource.RLIMIT_NOFILE, (len(os.listdir("/dev/fd")) + 30, hard))
            elif isinstance(event, e.RetryScheduled) and event.put_off:
                taken.append(event.reason)
                resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))

    try:
        run = flow.start(wait=False, observers=[when])
        result = run.wait(60)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert result.outputs["read_it"] == "read"
    assert taken
    assert "more files may be opened" in taken[0]
