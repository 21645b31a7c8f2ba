"""People who do not look on are told of decisions, rollbacks and ends; what goes wrong with that is no matter of the run."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from orchestrator_nb import Notify, Workflow
from orchestrator_nb.definition.reading import read_definition
from orchestrator_nb.definition.writing import to_plain
from orchestrator_nb.errors import UsageError
from orchestrator_nb.orchestrator import notifying
from orchestrator_nb.orchestrator.notifying import PATIENCE

TOKEN = "a-token-that-nobody-sees"


@pytest.fixture
def service(monkeypatch):
    """A service that keeps what it is sent, and answers as it is told to: its address, what came, and the status."""
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    came, status = [], [200]

    class Keeps(BaseHTTPRequestHandler):
        def do_POST(self):
            came.append((self.path, json.loads(self.rfile.read(int(self.headers["Content-Length"])))))
            self.send_response(status[0])
            self.end_headers()

        def log_message(self, *_):
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Keeps)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"json://127.0.0.1:{server.server_port}/hook", came, status
    server.shutdown()
    server.server_close()


def _failing(**options):
    flow = Workflow("sales", **options)

    @flow.command(retries=0)
    def model():
        raise ValueError(f"refused with {TOKEN}")

    return flow


def test_a_function_hears_of_the_end(project):
    """Once, after everything is recorded, with what to type; a good end is told as one."""
    heard = []
    notify = Notify(heard.append)
    result = _failing().run(check=False, observers=[notify])
    assert notify.delivered(30)
    (told,) = heard
    assert (told.kind, told.bad, told.run, told.state) == ("end", True, result.run, "failed")
    assert told.title == "sales: failed"
    assert "model: refused" in told.text
    assert f"orchestrator-nb status {result.run}" in told.text
    flow = Workflow("fine")
    flow.command(lambda: 1, id="a")
    flow.run(observers=[notify])
    assert notify.delivered(30)
    assert (heard[1].title, heard[1].bad) == ("fine: completed", False)


def test_a_decision_is_told_with_its_answers(project):
    """What is asked, what each answer does, what to type, and that the run has parked."""
    heard = []
    notify = Notify(heard.append)
    run = _failing(recovery={"escalation": True}).start(wait=False, decide="park", observers=[notify])
    run.wait(60, check=False)
    assert notify.delivered(30)
    asked, parked = heard
    assert (asked.kind, asked.command, parked.kind) == ("decision", "model", "parked")
    assert "How does it go on?" in asked.text
    assert "- skip: go on without it" in asked.text
    for told in heard:
        assert f"orchestrator-nb decide {run.id} 1 retry|skip|fail" in told.text


def test_an_escalation_is_told_with_its_level(project, until):
    """Somebody passes a question on: it is told anew, with what the next level may answer."""
    heard = []
    notify = Notify(heard.append)
    run = _failing(recovery={"escalation": {"guided": "10m"}}).start(wait=False, decide="wait", observers=[notify])
    try:
        until(lambda: heard)
        run.escalate("model", "nobody answers")
        until(lambda: len(heard) > 1)
        first, second = heard
        assert [told.kind for told in heard] == ["decision", "decision"]
        assert first.text.startswith("level 2, guided recovery: ")
        assert second.text.startswith("level 3, manual intervention: ")
        assert f"orchestrator-nb decide {run.id} 2 " in second.text
    finally:
        run.stop("the test is over", grace=0.0)
        run.wait(30, check=False)


def test_a_rollback_is_told_with_what_went_back(project):
    """Files of a command that failed for good go back by themselves, and people hear of it before the end."""
    (project / "table.csv").write_text("before")
    flow = Workflow("sales", checkpoints={"rollback": "automatic"})

    @flow.command(writes=["table.csv"], retries=0)
    def model():
        Path("table.csv").write_text("half of it")
        raise ValueError("no")

    heard = []
    notify = Notify(heard.append)
    flow.run(check=False, observers=[notify])
    assert notify.delivered(30)
    assert (project / "table.csv").read_text() == "before"
    back, end = heard
    assert (back.kind, back.title, back.bad, end.kind) == ("rollback", "sales: rolled back", False, "end")
    assert "1 file, " in back.text


def test_any_service_that_apprise_knows_is_told(project, service, monkeypatch, until):
    """Named in the definition; a real service gets it, without the secrets that are in the error."""
    monkeypatch.setenv("ORCHESTRATOR_NB_SECRET_TOKEN", TOKEN)
    address, came, _ = service
    _failing(notify=[address]).run(check=False)
    until(lambda: came)
    ((path, body),) = came
    assert path == "/hook"
    assert body["title"] == "sales: failed"
    assert "model: refused with" in body["message"]
    assert TOKEN not in json.dumps(body)


def test_a_secret_in_an_address_is_filled_in_and_in_no_file(project, service, monkeypatch, until):
    """The definition names it; nothing that the run keeps has its value."""
    address, came, _ = service
    monkeypatch.setenv("ORCHESTRATOR_NB_SECRET_HOOK", "hook-of-our-team")
    flow = Workflow("sales", notify=address.replace("/hook", "/${{ secrets.HOOK }}"))
    flow.command(lambda: 1, id="a")
    run = flow.start(wait=True)
    until(lambda: came)
    assert came[0][0] == "/hook-of-our-team"
    kept = [path for path in run.folder.rglob("*") if path.is_file()]
    assert kept
    assert not [path for path in kept if b"hook-of-our-team" in path.read_bytes()]


def test_what_cannot_be_told_is_logged_and_nothing_else(project, service, caplog):
    """A function that raises, even to leave the process, and a service that refuses: the run is as it is."""
    address, _, status = service
    status[0] = 500

    def leaves(_):
        raise SystemExit(3)

    tellers = [Notify(leaves), Notify(address)]
    flow = Workflow("w")
    flow.command(lambda: 1, id="a")
    with caplog.at_level(logging.WARNING, "orchestrator_nb.notify"):
        assert flow.run(observers=tellers).succeeded
        assert all(notify.delivered(30) for notify in tellers)
    assert sum("not delivered: w: completed" in record.getMessage() for record in caplog.records) == 2


def test_one_that_hangs_holds_up_neither_the_run_nor_the_others(project):
    """The run is over and everybody else is told while it hangs."""
    released, heard = threading.Event(), []
    hangs, hears = Notify(lambda _: released.wait(60)), Notify(heard.append)
    flow = Workflow("w")
    flow.command(lambda: 1, id="a")
    try:
        assert flow.run(observers=[hangs, hears]).succeeded
        assert hears.delivered(30)
        assert [told.kind for told in heard] == ["end"]
        assert not hangs.delivered(0.0)
    finally:
        released.set()
    assert hangs.delivered(30)


def test_a_flood_is_dropped_and_not_kept_without_end(caplog, monkeypatch, project):
    """Beyond so many that wait for one that hangs."""
    monkeypatch.setattr(notifying, "WAITING", 1)
    released, begun = threading.Event(), threading.Event()
    hangs = Notify(lambda _: (begun.set(), released.wait(60)))
    flow = Workflow("w")
    flow.command(lambda: 1, id="a")
    try:
        flow.run(observers=[hangs])
        assert begun.wait(30)
        for _ in range(2):
            flow.run(observers=[hangs])
    finally:
        released.set()
    assert any("dropped" in record.getMessage() for record in caplog.records)


def test_addresses_that_nobody_can_read_are_refused_before_anything_runs(project):
    """With the scheme, and nothing of what may be secret in it."""
    ran = []
    flow = Workflow("w", notify=["nonsense://user:password@host"])
    flow.command(lambda: ran.append(1), id="a")
    with pytest.raises(UsageError, match='begins with "nonsense:"') as refused:
        flow.run()
    assert "password" not in str(refused.value)
    assert not ran


def test_without_apprise_the_extra_is_named(monkeypatch):
    """Nothing else of it is needed where nobody is told by it."""
    monkeypatch.setattr(notifying, "find_spec", lambda _: None)
    with pytest.raises(UsageError, match=r"orchestrator-nb\[notify\]"):
        Notify("json://localhost")
    Notify(print)


def test_a_definition_says_who_is_told():
    """One address or several, and written out as they were read."""
    body = {"workflow": "w", "commands": {"a": {"call": "m:f"}}}
    assert read_definition({**body, "notify": "json://h"}).definition.notify == ("json://h",)
    two = read_definition({**body, "notify": ["json://h", "mailto://x"]}).definition
    assert to_plain(two)["notify"] == ["json://h", "mailto://x"]


def test_a_process_that_leaves_delivers_first(project, service):
    """The command line ends with its run; what is to be told of it still gets there."""
    address, came, _ = service
    (project / "flow.yaml").write_text(
        f"workflow: w\nnotify: ['{address}']\ncommands:\n  a: {{shell: ['{sys.executable}', '-c', 'print(1)']}}\n"
    )
    path = os.pathsep.join(place for place in sys.path if place)
    code = "from orchestrator_nb.cli.main import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", code, "run", "flow.yaml"],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=50 + PATIENCE,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert [body["title"] for _, body in came] == ["w: completed"]
