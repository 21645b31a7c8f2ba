"""What a run promises where there is no room.

- the journal finds none              nothing is started, what runs goes on, the run continues by itself with the room
- none comes                          a StoreFull that names the file system and the commands that will run again
- an interrupt meanwhile              leaves at once, exit code 6; the printed resume goes on, nothing is lost
- a result, an artifact finds none    waits for room; then fails naming the file system, and is tried again
- an output notebook finds none       the same at its end; what is saved on the way need not come to anything
- logs, live.json, the manifest       a word about it, never a failure of a command or of the run
- before a run                        under 1 MB it is refused, under 50 MB it is said, in the plan and in the journal
- no inodes left                      said as such
- a limit on the size of files        a clear error; without the limit the run goes on
- every single write finds none       whatever it was, a resume completes the run
"""

from __future__ import annotations

import json
import logging
import os
import re
import signal
import threading
from pathlib import Path

import pytest

from orchestrator_nb import Workflow, attach, context
from orchestrator_nb import events as e
from orchestrator_nb.commands.notebooks.output import OutputNotebook
from orchestrator_nb.data import disk as room
from orchestrator_nb.engine import held
from orchestrator_nb.errors import RunFailed, StoreError, StoreFull
from orchestrator_nb.journal.file import read

LARGE = "x" * 30_000
"""More than a page of a file system, so that it never fits into one that is there already."""

FLOW = """\
workflow: w
commands:
  first: {call: 'steps:first'}
  second: {call: 'steps:second', after: [first]}
"""

STEPS = """\
import os
from pathlib import Path


def first():
    with open("ledger", "a") as file:
        file.write("first\\n")
    with open(os.environ["FILLER"], "wb", buffering=0) as file:
        while True:
            try:
                file.write(bytes(1 << 16))
            except OSError:
                return "x" * 30_000


def second():
    with open("ledger", "a") as file:
        file.write("second\\n")
"""


def _events(run, kind):
    return [event for event in read(run.folder / "journal.jsonl") if isinstance(event, kind)]


def test_a_run_waits_for_room_and_goes_on(project, small_disk, until, caplog):
    """What ended meanwhile is recorded when there is room again; nothing is lost, nothing runs twice."""
    disk, ledger = small_disk(), []
    flow = Workflow("w")

    @flow.command
    def first():
        ledger.append("first")
        disk.fill()
        return LARGE

    @flow.command(after="first")
    def second():
        ledger.append("second")

    run = flow.start(wait=False, store=disk.folder / "store")
    until(lambda: "No space left" in caplog.text)
    assert run.is_running
    assert ledger == ["first"]
    assert "nothing new is started" in caplog.text
    assert str(disk.folder) in caplog.text
    disk.empty()
    assert run.wait().succeeded
    assert ledger == ["first", "second"]
    assert any("nothing was lost" in event.text for event in _events(run, e.NoticeGiven))
    assert [event.command for event in _events(run, e.CommandSucceeded)] == ["first", "second"]


def test_where_no_room_comes_the_error_says_what_is_lost(project, small_disk, monkeypatch):
    """The file system is named, and the commands that will run again; the journal is what is true, and is resumed."""
    disk, ledger = small_disk(), []
    monkeypatch.setattr(held, "PATIENCE", 0.0)
    flow = Workflow("w")

    @flow.command
    def before():
        ledger.append("before")

    @flow.command(after="before")
    def first():
        ledger.append("first")
        if ledger.count("first") == 1:
            disk.fill()
        return LARGE

    @flow.command(after="first")
    def second():
        ledger.append("second")

    run = flow.start(wait=False, store=disk.folder / "store")
    with pytest.raises(StoreFull) as caught:
        run.wait()
    assert f'of "{run.folder}" has 0 of' in str(caught.value)
    assert 'will run again: "first"' in str(caught.value)
    assert "flow.resume()" in str(caught.value)
    assert run.state.commands["first"].state == "running"
    assert ledger == ["before", "first"]
    with pytest.raises(StoreError, match="no room for a run"):
        flow.resume(run.id, store=disk.folder / "store")
    disk.empty()
    assert flow.resume(run.id, store=disk.folder / "store").result.succeeded
    assert ledger == ["before", "first", "first", "second"]


@pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")
def test_an_interrupt_does_not_wait_for_room(project, small_disk, begin, monkeypatch):
    """The command line says what is wrong while it waits; an interrupt leaves with exit code 6, and resume goes on."""
    disk = small_disk()
    Path("steps.py").write_text(STEPS)
    Path("flow.yaml").write_text(FLOW)
    monkeypatch.setenv("FILLER", str(disk.folder / "filler"))
    process = begin("run", "flow.yaml", "--store", disk.folder / "store", "--progress", "none")
    said = ""
    while "an interrupt leaves the run" not in said:
        line = process.stderr.readline()
        assert line, said
        said += line
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 6, out + err
    assert "No space left" in err
    assert "to go on: orchestrator-nb resume w-" in err
    assert "Traceback" not in err
    disk.empty()
    run = attach("latest", store=disk.folder / "store")
    monkeypatch.setenv("FILLER", "/dev/full")
    again = begin("resume", run.id, "--store", disk.folder / "store", "--progress", "none")
    out, err = again.communicate(timeout=60)
    assert again.returncode == 0, out + err
    assert Path("ledger").read_text().split() == ["first", "first", "second"]


def test_a_result_waits_for_room(project, small_disk, until, monkeypatch):
    """A result that does not fit is stored as soon as it does; the command does not run again for it."""
    disk, ledger = small_disk("size=8m"), []
    monkeypatch.setattr(room, "AGAIN_AFTER", 0.05)
    full = threading.Event()
    flow = Workflow("w")

    @flow.command
    def model():
        ledger.append("model")
        disk.fill(leaving=1_000_000)
        full.set()
        return bytes(3_000_000)

    @flow.command(after="model")
    def size(model):
        return len(model)

    run = flow.start(wait=False, store=disk.folder / "store")
    assert full.wait(30)
    assert run.is_running
    disk.empty()
    assert run.wait().outputs["size"] == 3_000_000
    assert ledger == ["model"]


def test_a_result_that_finds_no_room_fails_its_command_clearly(project, small_disk, monkeypatch):
    """The failure names the file system and is taken for a passing one; independent commands go on."""
    disk = small_disk("size=8m")
    monkeypatch.setattr(room, "PATIENCE", 0.0)
    flow = Workflow("w")

    @flow.command(retries=1, retry_delay=0.01)
    def model():
        if context.attempt == 1:
            disk.fill(leaving=1_000_000)
        return bytes(3_000_000)

    @flow.command
    def other():
        return 1

    result = flow.run(check=False, store=disk.folder / "store")
    failure = result.commands["model"].failure
    assert result.state == "failed"
    assert result.outputs["other"] == 1
    assert failure.types[0].endswith("StoreFull")
    assert f'the file system of "{disk.folder}' in failure.message
    assert result.commands["model"].attempt == 2


def test_an_output_notebook_waits_for_room(small_disk, monkeypatch):
    """While it runs, what cannot be saved is left out and what was saved stays; its end waits, then names the disk."""
    import nbformat

    disk = small_disk()
    monkeypatch.setattr(room, "PATIENCE", 0.0)
    v4 = nbformat.v4
    cell = v4.new_code_cell("1", metadata={"papermill": {}})
    output = OutputNotebook(disk.folder, "clean", source=Path("clean.ipynb"))
    output.begin(v4.new_notebook(cells=[cell], metadata={"papermill": {}}))
    partial, final = (disk.folder / "notebooks" / f"clean{suffix}.ipynb" for suffix in (".partial", ""))
    saved = partial.read_bytes()
    disk.fill()
    cell.outputs = [v4.new_output("stream", text=LARGE)]
    output.changed(cell)
    output.save()
    assert partial.read_bytes() == saved
    with pytest.raises(StoreFull, match=r'output notebook ".*clean\.ipynb" could not be written'):
        output.finish(failed=False)
    assert not final.exists()
    disk.empty()
    assert output.finish(failed=False)
    assert LARGE in final.read_text()
    assert not partial.exists()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full")
def test_what_is_printed_and_shown_needs_no_room(project, until):
    """Logs and live.json that cannot be written fail nothing; that a log is not whole is said."""
    go = threading.Event()
    flow = Workflow("w")

    @flow.command
    def first():
        go.wait(30)

    @flow.command(after="first")
    def talk():
        print("a word")
        context.progress(0.5, "half")
        return 1

    run = flow.start(wait=False)
    until((run.folder / "journal.jsonl").exists)
    (run.folder / "logs").mkdir()
    (run.folder / "logs" / "talk.1.log").symlink_to("/dev/full")
    (run.folder / ".live.json.part").symlink_to("/dev/full")
    go.set()
    assert run.wait().succeeded
    notices = [event for event in _events(run, e.NoticeGiven) if event.command == "talk"]
    assert [event.text for event in notices] == ["some of what it printed could not be kept: No space left on device"]


def test_a_manifest_that_cannot_be_written_fails_nothing(project, caplog):
    """The run is what its journal says; the audit finds what is missing."""
    go = threading.Event()
    flow = Workflow("w")
    flow.command(lambda: go.wait(30) and None, id="first")
    run = flow.start(wait=False)
    (run.folder / "manifest.json").mkdir()
    go.set()
    assert run.wait().succeeded
    assert "manifest" in caplog.text


def test_room_is_looked_at_before_a_run(project, small_disk):
    """Too little refuses the run before anything is written; little is said, in the plan and in the journal."""
    disk = small_disk("size=60m")
    store = disk.folder / "store"
    flow = Workflow("w")
    flow.command(lambda: 1, id="first")
    disk.fill(leaving=500_000)
    with pytest.raises(StoreFull, match=r"has no room for a run.*expected 1,000,000"):
        flow.run(store=store)
    assert not store.exists()
    assert any("would be refused" in note for note in flow.plan(store=store).notes)
    disk.fill(leaving=20_000_000)
    assert any("has little room" in note for note in flow.plan(store=store).notes)
    run = flow.start(store=store)
    assert any("has little room" in event.text for event in _events(run, e.NoticeGiven))
    disk.empty()
    assert flow.plan(store=store).notes == ()
    assert _events(flow.start(store=store), e.NoticeGiven) == []


def test_a_refusal_for_want_of_room_on_the_command_line(project, small_disk, begin):
    """Exit code 6 and one line; nothing is on stdout and nothing in the store."""
    disk = small_disk("size=2m")
    disk.fill(leaving=100_000)
    Path("flow.yaml").write_text("workflow: w\ncommands:\n  a: {shell: [git, --version]}\n")
    process = begin("run", "flow.yaml", "--store", disk.folder / "store")
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (6, "")
    assert "has no room for a run" in err
    assert len(err.splitlines()) == 1
    assert not (disk.folder / "store").exists()


def test_want_of_inodes_is_said(project, small_disk):
    """A file system with room and no inodes is told from one without room."""
    disk = small_disk("size=60m,nr_inodes=4")
    flow = Workflow("w")
    flow.command(lambda: 1, id="first")
    with pytest.raises(StoreFull, match="none of its 4 inodes"):
        flow.run(store=disk.folder / "store")


@pytest.mark.skipif(os.name == "nt", reason="limits of POSIX")
def test_a_limit_on_the_size_of_files(project, begin):
    """A journal that may not grow ends the run with an error that names it; without the limit it goes on."""
    import resource

    Path("steps.py").write_text('def first():\n    return "x" * 30_000\n\n\ndef second():\n    return 1\n')
    Path("flow.yaml").write_text(FLOW)
    process = begin(
        "run",
        "flow.yaml",
        "--progress",
        "none",
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, resource.RLIM_INFINITY)),
    )
    out, err = process.communicate(timeout=60)
    assert process.returncode == 6, out + err
    assert re.search(r'journal\.jsonl" could not be written: File too large', err)
    assert 'will run again: "first"' in err
    again = begin("resume", "latest", "--json", "--progress", "none")
    out, err = again.communicate(timeout=60)
    assert again.returncode == 0, out + err
    assert json.loads(out)["outputs"]["second"] == 1


def test_the_last_page_of_a_disk(project, small_disk, monkeypatch):
    """Wherever in a run the room ends, what was recorded before stays, and with room a resume completes it."""
    disk = small_disk("size=3m")
    monkeypatch.setattr(held, "PATIENCE", 0.0)
    monkeypatch.setattr(held, "AGAIN_AFTER", 0.01)
    monkeypatch.setattr(room, "PATIENCE", 0.0)
    monkeypatch.setattr(logging.getLogger("orchestrator_nb.run"), "disabled", True)
    store, broken = disk.folder / "store", 0
    for pages in range(0, 45, 4):
        ledger = []
        flow = Workflow("w")

        @flow.command
        def begins(ledger=ledger, pages=pages):
            if not ledger:
                disk.fill(leaving=4096 * pages)
            ledger.append("begins")

        @flow.command(after="begins", retries=0)
        def large(ledger=ledger):
            print("said")
            ledger.append("large")
            return "x" * 100_000

        @flow.command(after="large")
        def last(large, ledger=ledger):
            ledger.append("last")
            return len(large)

        run = flow.start(wait=False, store=store)
        try:
            run.wait()
        except (StoreError, RunFailed):
            broken += 1
            recorded = [event.command for event in _events(run, e.CommandSucceeded)]
            disk.empty()
            before = list(ledger)
            result = flow.resume(run.id, store=store).result
            assert result.outputs["last"] == 100_000
            assert not set(recorded) & set(ledger[len(before) :]), "what was recorded as succeeded ran again"
        else:
            disk.empty()
    assert broken >= 5
