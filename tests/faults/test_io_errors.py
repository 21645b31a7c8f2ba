"""What a run promises when the file system fails it, or somebody meddles with its files.

- one flush or write of the journal fails      it is read again on a new handle; the run goes on, and says so
- it fails for ever                            nothing is started any more, a clear error, resume goes on
- a kill in the middle of a write or flush     what is found is what was recorded, or one turn more
- slow flushes                                 what comes in meanwhile shares the next one
- the journal deleted, replaced or written to  the run ends before it takes the next turn for recorded
- the run's folder turned into a link          the same, and nothing is written where the link leads
- a read-only store, or no permission          looking works; run and resume are refused, naming folder and user
- a result missing or altered at resume        a clear error that names the command and the file
- a network, or no locks                      said with the run; refused before anything
- a journal of a newer version, or of nobody   read as far as it is known, or refused with the line
"""

from __future__ import annotations

import errno
import json
import os
import re
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from orchestrator_nb import Workflow, attach
from orchestrator_nb import events as e
from orchestrator_nb.cli.main import run_command_line
from orchestrator_nb.errors import JournalDamaged, StoreError
from orchestrator_nb.journal.file import JournalFile, digest, read
from orchestrator_nb.orchestrator.store import store_check
from orchestrator_nb.orchestrator.store.store_check import file_system

RUN = """\
import sys
from pathlib import Path
from orchestrator_nb import Workflow
from orchestrator_nb.orchestrator.opening import start_opened

flow = Workflow("w")
many = int(sys.argv[1])


@flow.command
def first():
    with open("ledger", "a") as file:
        file.write("first\\n")
    return 1


for number in range(many):
    flow.command(lambda first: first + 1, id=f"c{number}", after="first")


@flow.command(after=[f"c{number}" for number in range(many)])
def last():
    with open("ledger", "a") as file:
        file.write("last\\n")
    return 2


plan, commands = flow._plan({}, text=())
opening = flow._opening(plan, commands, (), slots=max(1, many))
run = start_opened(opening, store=Path("runs").absolute(), run="w-1")
print(run.wait().state)
"""
"""A run of a known name, so that what is done to its journal can be told from the rest."""


def _events(folder, kind):
    return [event for event in read(folder / "journal.jsonl") if isinstance(event, kind)]


@pytest.fixture
def traced(project, begin):
    """Run the program above while strace makes some system calls on its journal fail; return it and its run's folder."""
    if sys.platform != "linux" or shutil.which("strace") is None:
        pytest.skip("strace is not installed")

    def run(inject, many=1):
        journal = project / "runs" / "w-1" / "journal.jsonl"
        strace = ["strace", "-f", "-qqq", "-o", "/dev/null", "-P", str(journal), "-e", f"inject={inject}"]
        process = begin(many, code=RUN, before=strace)
        out, err = process.communicate(timeout=60)
        if "Operation not permitted" in err and not journal.exists():
            pytest.skip(f"strace is not allowed here: {err}")
        return process.returncode, out, err, journal.parent

    return run


@pytest.mark.parametrize("inject", ["fsync:error=EIO:when=2", "write:error=ENOSPC:when=2", "write:error=EIO:when=1"])
def test_one_failure_is_survived(traced, inject):
    """The journal is read again and the turn recorded on a new handle; nothing runs twice, and it is told."""
    code, out, err, folder = traced(inject)
    assert (code, out) == (0, "completed\n"), err
    assert Path("ledger").read_text().split() == ["first", "last"]
    notices = [event.text for event in _events(folder, e.NoticeGiven)]
    assert any("could be recorded" in text and "nothing was lost" in text for text in notices)


@pytest.mark.parametrize("inject", ["fsync:error=EIO:when=1+", "fsync:error=EIO:when=2+"])
def test_a_medium_that_fails_for_ever_ends_the_run(traced, project, inject):
    """No success is made up: the error names the journal, the rest never starts, and a resume completes the run."""
    code, _, err, folder = traced(inject)
    assert code == 1
    assert re.search(r'StoreError: the journal ".*journal\.jsonl" could not be written: Input/output error', err)
    before = Path("ledger").read_text().split() if Path("ledger").exists() else []
    assert "last" not in before
    recorded = {event.command for event in _events(folder, e.CommandSucceeded)}
    flow = Workflow("w")
    ran = []
    flow.command(lambda: ran.append("first") or 1, id="first")
    flow.command(lambda first: first + 1, id="c0", after="first")
    flow.command(lambda: ran.append("last") or 2, id="last", after="c0")
    assert flow.resume("w-1", store=project / "runs", accept_changes=True).result.succeeded
    assert ("first" in ran) == ("first" not in recorded)
    assert ran[-1] == "last"


@pytest.mark.parametrize("inject", ["fsync:signal=KILL:when=1", "fsync:signal=KILL:when=2", "write:signal=KILL:when=2"])
def test_a_kill_in_the_middle_of_recording(traced, inject):
    """What is found is a whole number of turns, and no command has begun whose start is not among them."""
    code, out, err, folder = traced(inject)
    assert code in (-9, 137), (out, err)
    started = [event.command for event in _events(folder, e.AttemptStarted)]
    begun = Path("ledger").read_text().split() if Path("ledger").exists() else []
    assert set(begun) <= set(started)


def test_a_failure_that_comes_with_the_close_is_told(traced):
    """As file systems of a network may do: whoever waits gets the error, and what was flushed before is there."""
    code, out, err, folder = traced("close:error=EIO:when=2")  # of the owner's thread, which has read it before
    assert (code, out) == (1, ""), err
    assert re.search(r'StoreError: the journal ".*journal\.jsonl" could not be closed: Input/output error', err)
    assert [event.state for event in _events(folder, e.RunEnded)] == ["completed"]


def test_slow_flushes_are_shared(traced):
    """While one turn is being flushed the others gather: many commands need few turns."""
    many = 60
    code, out, err, folder = traced("fsync:delay_exit=100000", many=many)
    assert (code, out) == (0, "completed\n"), err
    turns = (folder / "journal.jsonl").read_bytes().count(b',"end":"')
    assert len(_events(folder, e.CommandSucceeded)) == many + 2
    assert turns < many


# ── the journal by itself ───────────────────────────────────────────────────────────────────────────────────────────


def _turn(*commands):
    return [e.RetryDue(at=1.0, command=command) for command in commands]


def _journal(folder):
    return JournalFile(folder / "journal.jsonl", clock=lambda: 0.0)


def _failing(monkeypatch, calls):
    """Let the system's write fail as told: a number of bytes that it takes first, or an exception."""
    write = os.write
    plan = list(calls)

    def failing(descriptor, data):
        if not plan:
            return write(descriptor, data)
        step = plan.pop(0)
        if isinstance(step, OSError):
            raise step
        return write(descriptor, bytes(data)[:step])

    monkeypatch.setattr(os, "write", failing)


@pytest.mark.parametrize("taken", [[], [1], [40], [10, 20]], ids=str)
def test_a_torn_turn_is_taken_back_and_written_again(tmp_path, monkeypatch, taken):
    """Whatever part of a turn the system had taken, nothing of it is left when it is recorded anew."""
    journal = _journal(tmp_path)
    journal.append(_turn("a"))
    with monkeypatch.context() as patched:
        _failing(patched, [*taken, OSError(errno.ENOSPC, "No space left on device")])
        with pytest.raises(StoreError, match="No space left"):
            journal.append(_turn("b", "c"))
        with pytest.raises(StoreError, match="takes nothing more"):
            journal.append(_turn("d"))
    assert journal.recover() is False
    journal.append(_turn("b", "c"))
    journal.append(_turn("d"))
    assert [event.command for event in journal.read()] == ["a", "b", "c", "d"]


def test_a_turn_that_was_written_and_not_flushed_is_found(tmp_path, monkeypatch):
    """After a flush that failed the turn is there; it is written once more in its place, flushed, and counts once."""
    journal = _journal(tmp_path)
    flush = os.fsync

    def broken(descriptor):
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "fsync", broken)
    with pytest.raises(StoreError, match="Input/output error"):
        journal.append(_turn("a", "b"))
    with pytest.raises(StoreError, match="Input/output error"):
        journal.recover()
    monkeypatch.setattr(os, "fsync", flush)
    assert journal.recover() is True
    journal.append(_turn("c"))
    assert [event.command for event in journal.read()] == ["a", "b", "c"]


def test_nothing_is_recovered_from_a_file_that_somebody_changed(tmp_path, monkeypatch):
    """What stands where the turn should be is not the turn: it is left alone, and nothing more is accepted."""
    journal = _journal(tmp_path)
    journal.append(_turn("a"))
    with monkeypatch.context() as patched:
        _failing(patched, [5, OSError(errno.EIO, "Input/output error")])
        with pytest.raises(StoreError):
            journal.append(_turn("b"))
    with open(journal.path, "ab") as file:
        file.write(b"somebody was here")
    before = journal.path.read_bytes()
    with pytest.raises(StoreError, match="somebody else has written to it"):
        journal.recover()
    os.truncate(journal.path, 10)
    with pytest.raises(StoreError, match="somebody else has written to it"):
        journal.recover()
    assert journal.path.read_bytes() == before[:10]


# ── files that somebody meddles with ────────────────────────────────────────────────────────────────────────────────


def _deleted(path):
    path.unlink()


def _replaced(path):
    copy = path.with_name("copy")
    shutil.copy(path, copy)
    os.replace(copy, path)


def _written_to(path):
    with open(path, "ab") as file:
        file.write(b"{}\n")


def _emptied(path):
    os.truncate(path, 0)


@pytest.mark.skipif(os.name == "nt", reason="Windows does not let a file go that is open")
@pytest.mark.parametrize("meddle", [_deleted, _replaced, _written_to, _emptied])
def test_a_journal_that_somebody_meddles_with_ends_the_run(project, meddle):
    """Nothing counts as recorded that is not in the file of that name; what comes after is never started."""
    told, ran = threading.Event(), []
    flow = Workflow("w")

    @flow.command
    def first():
        told.wait(30)
        meddle(run.folder / "journal.jsonl")
        return 1

    flow.command(lambda: ran.append("second"), id="second", after="first")
    run = flow.start(wait=False)
    told.set()
    with pytest.raises(StoreError, match="cannot be trusted any more"):
        run.wait()
    assert ran == []


@pytest.mark.skipif(os.name == "nt", reason="links need rights on Windows")
def test_a_folder_that_becomes_a_link_is_not_followed(project):
    """The run's folder is moved and a link put in its place: the run ends, nothing is written where the link leads."""
    outside = project / "outside"
    outside.mkdir()
    told = threading.Event()
    flow = Workflow("w")

    @flow.command
    def first():
        told.wait(30)
        run.folder.rename(project / "moved")
        run.folder.symlink_to(outside)
        return 1

    flow.command(lambda: bytes(100_000), id="second", after="first")
    run = flow.start(wait=False)
    told.set()
    with pytest.raises(StoreError, match="deleted, or replaced"):
        run.wait()
    assert list(outside.iterdir()) == []


def test_a_read_only_store_can_be_looked_at(project, small_disk, capfd):
    """Status works; run and resume are refused with exit code 6 before anything, naming folder and user."""
    disk = small_disk("size=60m")
    store = disk.folder / "store"
    Path("flow.yaml").write_text("workflow: w\ncommands:\n  a: {shell: [git, --no-such-option]}\n")
    assert run_command_line(["run", "flow.yaml", "--store", str(store), "--progress", "none"]) == 1
    disk.remount("ro")
    capfd.readouterr()
    assert run_command_line(["status", "--store", str(store)]) == 0
    assert "failed" in capfd.readouterr().out
    for arguments in (["run", "flow.yaml"], ["resume", "latest"]):
        assert run_command_line([*arguments, "--store", str(store)]) == 6
        out, err = capfd.readouterr()
        assert f"cannot be written by the user {os.getuid()}" in err
        assert "Traceback" not in err
        assert "started" not in out
    disk.remount("rw")
    assert len(list(store.glob("w-*"))) == 1


@pytest.mark.skipif(os.name == "nt", reason="permissions of POSIX")
def test_without_permission_nothing_is_begun(tmp_path):
    """Another user's folder is refused before anything; the user and the folder are named."""
    code = (
        "import os, sys; from orchestrator_nb import Workflow\n"
        "if os.getuid() == 0: os.setuid(65534)\n"
        "flow = Workflow('w', folder='/')\n"
        "flow.command(lambda: print('ran'), id='a')\n"
        f"flow.run(store={str(tmp_path / 'closed' / 'store')!r})\n"
    )
    (tmp_path / "closed").mkdir(mode=0o555)
    done = subprocess.run(
        [sys.executable, "-c", "import orchestrator_nb.orchestrator.workflow\n" + code],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
    )
    assert done.returncode != 0
    assert re.search(r"StoreError: the store .* cannot be written by the user \d+", done.stderr)
    assert "ran" not in done.stdout
    assert list((tmp_path / "closed").iterdir()) == []


def test_a_result_that_is_not_what_was_recorded_stops_a_resume(project):
    """Missing or altered: the command, the file and what to do are named; put back, the run goes on with it."""
    flow = Workflow("w")
    bad = [True]
    flow.command(lambda: b"x" * 100_000, id="first")

    @flow.command(after="first")
    def second(first):
        if bad:
            raise ValueError("not yet")
        return len(first)

    run = flow.start(check=False)
    bad.clear()
    (path,) = (path for path in (run.folder / "artifacts").rglob("*") if path.is_file())
    content = path.read_bytes()
    path.chmod(0o600)
    path.write_bytes(b"y" + content[1:])
    with pytest.raises(StoreError, match=r'the result of "first".*is damaged[^;]*\nput the files back'):
        flow.resume()
    path.unlink()
    with pytest.raises(StoreError, match=r'the result of "first".*was deleted or never written'):
        flow.resume()
    assert attach("latest").state.run.state == "failed"
    path.write_bytes(content)
    assert flow.resume().result.outputs["second"] == 100_000


# ── journals of other versions ──────────────────────────────────────────────────────────────────────────────────────


def _failed_run():
    flow = Workflow("w")

    @flow.command
    def first():
        raise ValueError("no")

    return flow, flow.start(check=False)


def _added(path, line):
    """Add a whole turn to a journal, as its owner would."""
    lines = path.read_bytes().splitlines()
    seq, prev = len(lines) + 1, json.loads(lines[-1])["end"]
    body = json.dumps({"seq": seq, **line, "prev": prev}, separators=(",", ":")).encode()[:-1]
    with open(path, "ab") as file:
        file.write(b'%b,"end":"%b"}\n' % (body, digest(body).encode()))


def test_a_kind_of_event_that_is_not_known_is_refused(project, capfd):
    """A journal of a newer version is not misread: the line and the kind are named, and it is left as it is."""
    _, run = _failed_run()
    path = run.folder / "journal.jsonl"
    _added(path, {"kind": "SomethingNew", "at": 1.0})
    before = path.read_bytes()
    capfd.readouterr()
    for verb in ("status", "resume"):
        assert run_command_line([verb, run.id]) == 6
        out, err = capfd.readouterr()
        assert out == ""
        assert "SomethingNew" in err
        assert "Traceback" not in err
    assert path.read_bytes() == before


def test_a_field_that_is_not_known_is_ignored(project):
    """What a newer version says besides does not keep an older one from reading the rest."""
    _, run = _failed_run()
    _added(run.folder / "journal.jsonl", {"kind": "NoticeGiven", "at": 1.0, "text": "hello", "colour": "blue"})
    assert attach("latest").state.notices[-1].text == "hello"


@pytest.mark.parametrize(
    "tail", [b"\x00" * 4096, b'{"seq":99', b"\xff\xfe\n\n\n", b"{}\n" * 3], ids=["NUL", "torn", "binary", "empty"]
)
def test_a_torn_tail_never_was(project, tail):
    """Whatever a power cut left at the end is moved aside, recorded, and the run goes on."""
    flow, run = _failed_run()
    path = run.folder / "journal.jsonl"
    with open(path, "ab") as file:
        file.write(tail)
    assert attach("latest").state.run.state == "failed"
    assert flow.resume(check=False).result.state == "failed"
    (cut,) = _events(run.folder, e.JournalCut)
    assert cut.bytes == len(tail)
    assert (run.folder / cut.file).read_bytes() == tail


def test_the_middle_of_a_journal_is_not_mended_in_silence(project):
    """A line that was edited is an error that names it, for whoever looks and for whoever resumes."""
    flow, run = _failed_run()
    path = run.folder / "journal.jsonl"
    path.write_bytes(path.read_bytes().replace(b'"workflow":"w"', b'"workflow":"v"', 1))
    with pytest.raises(JournalDamaged, match="line"):
        flow.resume(run.id)
    with pytest.raises(JournalDamaged, match="line"):
        attach(run.id).status()


# ── where the store is ──────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("folder", "kind"),
    [
        ("/", "ext4"),
        ("/home/me", "nfs4"),
        ("/home/me/fast disk/store", "xfs"),
        ("/homely", "ext4"),
        ("/tmp/x", "tmpfs"),
    ],
)
def test_the_kind_of_file_system_is_that_of_the_longest_mount(tmp_path, folder, kind):
    """Spaces are read, a longer name is no part of a folder, the last of two mounts on one place counts."""
    mounts = tmp_path / "mountinfo"
    mounts.write_text(
        "1 0 8:1 / / rw - ext4 /dev/sda1 rw\n"
        "2 1 0:40 / /home rw shared:1 - nfs4 server:/home rw\n"
        "3 2 8:2 / /home/me/fast\\040disk rw - xfs /dev/sdb1 rw\n"
        "4 1 8:3 / /tmp rw - ext4 /dev/sdc1 rw\n"
        "5 1 0:41 / /tmp rw - tmpfs tmpfs rw\n"
        "nonsense\n"
    )
    assert file_system(Path(folder), mounts=mounts) == kind


def test_where_mounts_are_not_listed_nothing_is_known(tmp_path):
    """Other systems have no such list."""
    assert file_system(tmp_path, mounts=tmp_path / "none") is None


def _mounted(monkeypatch, tmp_path, kind):
    mounts = tmp_path / "mountinfo"
    mounts.write_text(f"1 0 8:1 / / rw - ext4 /dev/sda1 rw\n2 1 0:40 / {tmp_path} rw - {kind} server:/home rw\n")
    monkeypatch.setattr(store_check, "MOUNTS", mounts)


def test_a_store_on_a_network_is_said_with_the_run(project, tmp_path, monkeypatch, capfd):
    """In the plan, in the journal and so to everyone who watches: what holds there and what may not."""
    Path("flow.yaml").write_text("workflow: w\ncommands:\n  a: {shell: [git, --version]}\n")
    _mounted(monkeypatch, tmp_path, "nfs4")
    for verb in ("plan", "run"):
        assert run_command_line([verb, "flow.yaml"]) == 0
        out, _ = capfd.readouterr()
        assert "(nfs4): own its runs from one machine at a time" in out
    (notice,) = _events(attach("latest").folder, e.NoticeGiven)
    assert "locks may not hold between machines" in notice.text


@pytest.mark.parametrize(
    ("kind", "is_said"),
    [
        (kind, True)
        for kind in ("nfs", "cifs", "9p", "virtiofs", "fuse", "fuse.sshfs", "fuse.gcsfuse", "davfs", "vboxsf")
    ]
    + [(kind, False) for kind in ("ext4", "xfs", "zfs", "tmpfs", "overlay", "fuseblk", "fuse.fuse-overlayfs")],
)
def test_which_file_systems_are_of_a_network(tmp_path, monkeypatch, kind, is_said):
    """Those that another machine serves, or a program that may have it from one; not those of this machine's disks."""
    _mounted(monkeypatch, tmp_path, kind)
    assert any(f"({kind})" in note for note in store_check.check_store(tmp_path / "store")) == is_said


@pytest.mark.skipif(sys.platform != "linux" or shutil.which("strace") is None, reason="strace is not installed")
@pytest.mark.parametrize("error", ["ENOLCK", "EOPNOTSUPP"])
def test_a_file_system_without_locks_is_refused(project, begin, error):
    """Nothing would keep a second owner away: exit code 6 before any command, what to do, and nothing is left."""
    Path("flow.yaml").write_text("workflow: w\ncommands:\n  a: {shell: [touch, ran]}\n")
    strace = ["strace", "-f", "-qqq", "-o", "/dev/null", "-e", f"inject=flock:error={error}"]
    process = begin("run", "flow.yaml", "--progress", "none", before=strace)
    out, err = process.communicate(timeout=60)
    if "Operation not permitted" in err:
        pytest.skip(f"strace is not allowed here: {err}")
    assert (process.returncode, out) == (6, ""), err
    assert "has no locks" in err
    assert "--store" in err
    assert not Path("ran").exists()
    assert not list(Path("orchestrator-runs").glob("w-*"))
