"""The index over the journals of a store: rebuilt when it is gone, true when it is torn, shared by many processes."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest
from filelock import FileLock
from sqlalchemy import func, select

from orchestrator_nb import events as e
from orchestrator_nb.journal.file import JournalFile
from orchestrator_nb.journal.index import schema
from orchestrator_nb.journal.index.index import FILE, LOCK, Index
from orchestrator_nb.journal.index.journals import Updated
from orchestrator_nb.journal.store import JOURNAL

ROOT = Path(__file__).resolve().parents[2]

READER = """\
import json, sys
from pathlib import Path
from sqlalchemy import select
from orchestrator_nb.journal.index import schema
from orchestrator_nb.journal.index.index import Index
store, stop = Path(sys.argv[1]), Path(sys.argv[2])
index, looks = Index(store, patience=60.0), 0
print("ready", flush=True)
while True:
    last = stop.exists()
    index.update()
    looks += 1
    if last:
        break
runs = index.read(select(schema.runs).order_by(schema.runs.c.run))
print(json.dumps({"note": index.note, "runs": [[run["run"], run["events"], run["state"]] for run in runs]}))
index.close()
"""

KILLED = """\
import os, signal, sys
from pathlib import Path
from sqlalchemy import event
from sqlalchemy.engine import Engine
from orchestrator_nb.journal.index.index import Index
left = int(sys.argv[2])
@event.listens_for(Engine, "after_cursor_execute")
def count(*_):
    global left
    left -= 1
    if left == 0:
        os.kill(os.getpid(), signal.SIGKILL)
Index(Path(sys.argv[1])).update()
"""


def _python(code: str, *arguments: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", code, *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )


def _id(number: int) -> str:
    return f"w-20260101-000000-{number:04x}"


def _begin(store: Path, number: int, *, at: float | None = None) -> JournalFile:
    """Begin the journal of a run with one command, whose attempt is under way."""
    folder = store / _id(number)
    folder.mkdir(parents=True)
    journal = JournalFile(folder / JOURNAL, durable=False, clock=time.time)
    begun = number if at is None else at
    journal.append(
        [
            e.RunStarted(at=begun, run=folder.name, workflow="w"),
            e.RunPlanned(at=begun, commands={"a": {"kind": "call"}}),
            e.AttemptStarted(at=begun, command="a", attempt=1),
        ]
    )
    return journal


def _finish(journal: JournalFile, at: float = 9.0) -> None:
    """Let the command succeed and the run be completed, in two turns."""
    journal.append(
        [
            e.AttemptReturned(at=at, command="a", attempt=1, seconds=1.5),
            e.CommandSucceeded(at=at, command="a", attempt=1),
        ]
    )
    journal.append([e.RunCompleting(at=at), e.RunEnded(at=at, state="completed")])
    journal.close()


def _runs(store: Path, count: int) -> None:
    for number in range(count):
        _finish(_begin(store, number))


def _content(index: Index) -> dict[str, list[dict]]:
    """Return every row of every table but the numbers of the runs, which their ids stand for."""
    names = {row["key"]: row["run"] for row in index.read(select(schema.runs))}
    found = {}
    for name, table in schema.metadata.tables.items():
        rows = [{**row, "run_key": names[row.get("run_key", row.get("key"))]} for row in index.read(select(table))]
        found[name] = sorted(({**row, "key": None} for row in rows), key=lambda row: json.dumps(row, default=str))
    return found


def _rebuilt(store: Path) -> dict[str, list[dict]]:
    """Return what an index has that is made anew."""
    (store / FILE).unlink(missing_ok=True)
    return _read(store)


def _read(store: Path) -> dict[str, list[dict]]:
    index = Index(store)
    content = _content(index)
    assert index.note is None
    index.close()
    return content


def _state(store: Path, number: int) -> tuple[str, int, str | None]:
    """Return the state of a run, the number of its events and why it is damaged, as the index has them."""
    index = Index(store)
    (row,) = index.read(select(schema.runs).where(schema.runs.c.run == _id(number)))
    index.close()
    return row["state"], row["events"], row["damaged"]


def test_it_is_rebuilt_when_it_is_gone(tmp_path: Path) -> None:
    """The file can be deleted: the next reader has the same rows."""
    _runs(tmp_path, 5)
    _begin(tmp_path, 7).close()
    content = _read(tmp_path)
    assert (tmp_path / FILE).is_file()
    assert len(content["runs"]) == len(content["positions"]) == 6
    assert _rebuilt(tmp_path) == content


def test_what_has_not_changed_is_not_read_again(tmp_path: Path) -> None:
    """Of 300 runs, none is read a second time, and of the one that went on only what was added."""
    _runs(tmp_path, 299)
    journal = _begin(tmp_path, 299)
    size = sum(path.stat().st_size for path in tmp_path.glob(f"*/{JOURNAL}"))
    index = Index(tmp_path)
    assert index.update() == Updated(runs=300, bytes=size, removed=0)
    assert index.update() == Updated()
    index.close()
    before = journal.path.stat().st_size
    _finish(journal)
    index = Index(tmp_path)
    assert index.update() == Updated(runs=1, bytes=journal.path.stat().st_size - before)
    assert index.read(select(func.count()).where(schema.runs.c.state == "completed"))[0]["count_1"] == 300
    index.close()


def test_a_live_run_is_there_up_to_its_last_whole_turn(tmp_path: Path) -> None:
    """Half a turn is not taken for one, and is there once it is whole."""
    journal = _begin(tmp_path, 1)
    whole = journal.path.read_bytes()
    _finish(journal)
    rest = journal.path.read_bytes()[len(whole) :]
    journal.path.write_bytes(whole + rest[:70])
    assert _state(tmp_path, 1) == ("executing", 3, None)
    with open(journal.path, "ab") as file:
        file.write(rest[70:])
    assert _state(tmp_path, 1) == ("completed", 7, None)


def test_a_folder_without_a_whole_turn_is_a_run_that_has_not_begun(tmp_path: Path) -> None:
    """It has a row, of state new; a folder without a journal has none."""
    (tmp_path / _id(1)).mkdir()
    (tmp_path / _id(1) / JOURNAL).write_bytes(b'{"seq":1')
    (tmp_path / "notes").mkdir()
    assert _state(tmp_path, 1) == ("new", 0, None)
    assert len(_read(tmp_path)["runs"]) == 1


def test_runs_that_are_deleted_disappear(tmp_path: Path) -> None:
    """With all their rows, and the others stay."""
    _runs(tmp_path, 3)
    index = Index(tmp_path)
    index.update()
    (tmp_path / _id(1) / JOURNAL).unlink()
    assert index.update() == Updated(removed=1)
    content = _content(index)
    assert [row["run"] for row in content["runs"]] == [_id(0), _id(2)]
    assert {row["run_key"] for rows in content.values() for row in rows} == {_id(0), _id(2)}
    index.close()
    assert _rebuilt(tmp_path) == content


def test_a_journal_that_was_replaced_is_read_anew(tmp_path: Path) -> None:
    """By another that is longer or shorter, in its place or written over it: nothing of the old one stays."""
    _finish(_begin(tmp_path, 1))
    _begin(tmp_path / "elsewhere", 1, at=77.0).close()
    longer = _begin(tmp_path / "elsewhere", 2, at=88.0)
    for number in range(20):
        longer.append([e.NoticeGiven(at=89.0, text=str(number))])
    longer.close()
    short, long = (tmp_path / "elsewhere" / _id(number) / JOURNAL for number in (1, 2))
    path = tmp_path / _id(1) / JOURNAL
    for state, replace in (
        (("executing", 23, None), lambda: path.write_bytes(long.read_bytes())),
        (("executing", 3, None), lambda: path.write_bytes(short.read_bytes())),
        (("executing", 23, None), lambda: os.replace(long, path)),
        (("executing", 3, None), lambda: os.replace(short, path)),
        (("new", 0, None), lambda: path.write_bytes(b"")),
    ):
        replace()
        assert _state(tmp_path, 1) == state
    assert _rebuilt(tmp_path) == _read(tmp_path)


def test_a_damaged_journal_is_named_and_holds_nobody_up(tmp_path: Path) -> None:
    """What it says before the damage is there; put back as it was, it is whole again."""
    _runs(tmp_path, 3)
    path = tmp_path / _id(1) / JOURNAL
    sound = path.read_bytes()
    assert _state(tmp_path, 1) == ("completed", 7, None)
    path.write_bytes(sound.replace(b'"CommandSucceeded"', b'"CommandSucceedeD"'))
    state, events, damaged = _state(tmp_path, 1)
    assert (state, events) == ("executing", 3)
    assert f'"{path}", line 5' in str(damaged)
    assert _state(tmp_path, 2) == ("completed", 7, None)
    path.write_bytes(sound)
    assert _state(tmp_path, 1) == ("completed", 7, None)


def test_a_journal_that_tells_something_impossible_is_named(tmp_path: Path) -> None:
    """What cannot follow, and a number that no column holds, are damages of that run only."""
    _runs(tmp_path, 3)
    for number, event, left in (
        (5, e.CommandSucceeded(at=1.0, command="b", attempt=1), 3),
        (6, e.RunEnded(at=1.0, state="completed"), 3),
        (7, e.CellStarted(at=1.0, command="a", attempt=1, cell=0, number=2**63, of=1), 0),
    ):
        journal = _begin(tmp_path, number)
        journal.append([event])
        journal.close()
        _, events, damaged = _state(tmp_path, number)
        assert events == left
        assert "tells something impossible" in str(damaged)
    assert _state(tmp_path, 2) == ("completed", 7, None)
    assert len(_read(tmp_path)["runs"]) == 6


def _old_version(path: Path) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute("DROP TABLE commands")
        connection.execute("PRAGMA user_version = 99")
    connection.close()


def _of_something_else(path: Path) -> None:
    path.unlink()
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE runs (name TEXT)")
    connection.close()


def _scrambled(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[4096:] = bytes(255 - byte for byte in content[4096:])
    path.write_bytes(content)


@pytest.mark.parametrize(
    "spoil",
    [
        _old_version,
        _of_something_else,
        _scrambled,
        lambda path: path.write_bytes(b"no database at all\n" * 400),
        lambda path: path.write_bytes(b""),
        lambda path: os.truncate(path, path.stat().st_size // 2),
    ],
    ids=["version", "other", "scrambled", "text", "empty", "half"],
)
def test_a_file_that_is_no_sound_index_is_filled_anew(tmp_path: Path, spoil) -> None:
    """Another version, another program's file, and one that is damaged: the rows are right, and the file is mended."""
    _runs(tmp_path, 60)
    content = _read(tmp_path)
    spoil(tmp_path / FILE)
    assert _read(tmp_path) == content
    with sqlite3.connect(tmp_path / FILE) as connection:
        assert connection.execute("PRAGMA quick_check").fetchall() == [("ok",)]
        assert connection.execute("PRAGMA user_version").fetchone() == (schema.VERSION,)
    connection.close()


def test_a_damage_that_only_a_query_meets_is_mended(tmp_path: Path) -> None:
    """A page that no update looks at: the query finds its rows, and the next one finds a sound file."""
    journal = _begin(tmp_path, 1)
    journal.append([e.NoticeGiven(at=1.0, text="look")])
    journal.close()
    _read(tmp_path)
    with sqlite3.connect(tmp_path / FILE) as connection:
        (page,) = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = 'notices'").fetchone()
        (size,) = connection.execute("PRAGMA page_size").fetchone()
    connection.close()
    with open(tmp_path / FILE, "r+b") as file:
        file.seek((page - 1) * size)
        file.write(b"\xff" * size)
    index = Index(tmp_path)
    assert index.update() == Updated()
    assert [row["text"] for row in index.read(select(schema.notices))] == ["look"]
    assert index.note is None
    index.close()
    with sqlite3.connect(tmp_path / FILE) as connection:
        assert connection.execute("PRAGMA quick_check").fetchall() == [("ok",)]
    connection.close()


def test_a_file_that_cannot_be_used_is_said(tmp_path: Path) -> None:
    """Where there is a folder in its place, the rows are right and in memory, and the note says so."""
    _runs(tmp_path, 3)
    (tmp_path / FILE).mkdir()
    index = Index(tmp_path)
    assert len(index.read(select(schema.runs))) == 3
    assert index.note is not None
    assert f'the index "{tmp_path / FILE}" cannot be used (' in index.note
    _finish(_begin(tmp_path, 4))
    assert len(index.read(select(schema.runs))) == 4
    index.close()


def test_an_index_that_is_held_is_copied_into_memory(tmp_path: Path) -> None:
    """Where whoever writes it does not let go of it, what is in it is taken and the rest is read."""
    _runs(tmp_path, 3)
    content = _read(tmp_path)
    index = Index(tmp_path, patience=0.05)
    lock = FileLock(tmp_path / LOCK, is_singleton=False)
    with lock:
        assert index.update() == Updated()  # nothing new: the lock is not needed
        assert index.note is None
        _finish(_begin(tmp_path, 4))
        assert index.update().runs == 1
    assert index.note is not None
    assert "another process has held it" in index.note
    assert len(index.read(select(schema.runs))) == 4
    index.close()
    assert len(_read(tmp_path)["runs"]) == len(content["runs"]) + 1


def test_a_database_that_is_locked_is_done_without(tmp_path: Path) -> None:
    """A stranger that keeps the database for itself holds nobody up."""
    _runs(tmp_path, 3)
    content = _read(tmp_path)
    stranger = sqlite3.connect(tmp_path / FILE, isolation_level=None)
    stranger.execute("BEGIN EXCLUSIVE")
    index = Index(tmp_path, patience=0.05)
    found = _content(index)
    assert index.note is not None
    index.close()
    stranger.close()
    assert found == content


def test_nothing_is_written_where_there_are_no_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither a store nor an index comes to be by looking."""
    monkeypatch.chdir(tmp_path)
    for store in (tmp_path / "none", tmp_path, Path()):
        index = Index(store)
        assert index.read(select(schema.runs)) == []
        assert index.note is None
        index.close()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGKILL")
def test_a_kill_in_the_middle_of_an_update_loses_nothing(tmp_path: Path) -> None:
    """Wherever the process is killed, the next reader finds whole rows, and makes the index equal to a new one."""
    killed = []
    for number, statements in enumerate((2, 9, 14, 33, 90)):
        _runs(tmp_path / str(number), 30)
        killed.append(_python(KILLED, tmp_path / str(number), statements))
    for number, process in enumerate(killed):
        _, trouble = process.communicate(timeout=60)
        assert process.returncode == -9, trouble
        store = tmp_path / str(number)
        assert _read(store) == _rebuilt(store)


def test_several_processes_update_while_another_writes_runs(tmp_path: Path) -> None:
    """Nothing is lost, nobody falls back to memory, and all see the same in the end."""
    store, stop = tmp_path / "store", tmp_path / "stop"
    store.mkdir()
    readers = [_python(READER, store, stop) for _ in range(2)]
    for reader in readers:
        assert reader.stdout is not None
        assert reader.stdout.readline() == "ready\n"
    under_way = []
    for number in range(40):
        under_way.append(_begin(store, number))
        if number % 3 == 0:
            _finish(under_way.pop(0))
    stop.touch()
    for reader in readers:
        out, trouble = reader.communicate(timeout=60)
        assert reader.returncode == 0, trouble
        seen = json.loads(out)
        assert seen["note"] is None
        assert len(seen["runs"]) == 40
        assert [run[1:] for run in seen["runs"]].count([7, "completed"]) == 14
    for journal in under_way:
        journal.close()
    assert _read(store) == _rebuilt(store)


def test_neither_a_start_nor_the_help_loads_what_the_index_needs(tmp_path: Path) -> None:
    """A run in a store with runs and with an index costs nothing for it, at its start and at its end."""
    code = (
        "import sys\n"
        "from orchestrator_nb import Workflow\n"
        "from orchestrator_nb.cli.main import run_command_line\n"
        "flow = Workflow('w')\n"
        "flow.command(lambda: 1, id='a')\n"
        "for _ in range(2):\n"
        f"    assert flow.run(store={str(tmp_path)!r}).succeeded\n"
        "run_command_line(['--help'])\n"
        "print('sqlalchemy' in sys.modules, file=sys.stderr)\n"
    )
    _runs(tmp_path, 2)
    _read(tmp_path)
    process = _python(code)
    _, trouble = process.communicate(timeout=60)
    assert process.returncode == 0, trouble
    assert trouble.splitlines()[-1] == "False"
