"""Files of rows that are mapped: whatever their folder is called, whoever else writes them."""

from __future__ import annotations

import os
import sys
import threading
import time
from pathlib import Path

import pyarrow as pa
import pytest

from orchestrator_nb.analytics import cache, ledger
from orchestrator_nb.analytics.arrow_file import LEFT, mapped, save

ROWS = pa.table({"run": pa.array(["a", "a", "b"]).dictionary_encode(), "seconds": [1.0, None, 3.0]})


@pytest.mark.skipif(sys.platform != "linux", reason="needs names that are no UTF-8")
def test_rows_are_kept_in_a_folder_whose_name_is_no_utf_8(tmp_path: Path) -> None:
    """They are written, found again and read, as those of a ledger are."""
    store = Path(os.fsdecode(os.fsencode(tmp_path) + b"/na\xefve"))
    store.mkdir()
    path = cache.path_of(store, "commands")
    cache.write(path, ROWS, {"a": "1", "b": "2"})
    assert cache.kept_runs(path, ROWS.schema) == {"a": "1", "b": "2"}
    rows = cache.read(path, ["b"], whole=False)
    assert rows is not None
    assert rows.table.column("seconds").to_pylist() == [3.0]
    of = ledger.path_of(store, "attempts")
    ledger.write(
        of, "attempts", ledger.Ledger(stretches=[("w", "c")], starts=[0, 1], runs=["a"], table=ROWS[:1]), {"a": "1"}
    )
    assert of.stat().st_size
    assert sorted(each.name for each in store.iterdir()) == [of.name, path.name]


def test_many_threads_write_one_file_at_a_time(tmp_path: Path) -> None:
    """It is always that of one of them as a whole, and who had mapped it before keeps what was in it."""
    path = tmp_path / "rows.arrow"
    tables = [pa.table({"n": pa.array([number] * 50_000)}) for number in range(6)]
    save(path, tables[0])
    before = pa.ipc.open_file(pa.py_buffer(mapped(path))).read_all()
    ready = threading.Barrier(len(tables))

    def write(table: pa.Table) -> None:
        ready.wait(30)
        for _ in range(10):
            save(path, table)

    threads = [threading.Thread(target=write, args=(table,)) for table in tables]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        found = pa.ipc.open_file(pa.py_buffer(mapped(path))).read_all()
        assert any(found == table for table in tables)
    for thread in threads:
        thread.join()
    assert before == tables[0]
    assert [each.name for each in tmp_path.iterdir()] == ["rows.arrow"]


def test_what_nobody_finishes_any_more_is_removed(tmp_path: Path) -> None:
    """A file of a process that was killed while it wrote, and the one of an earlier version; what is being written stays."""
    path = cache.path_of(tmp_path, "commands")
    left, fresh, former = (
        tmp_path / f".{path.name}.4711-1",
        tmp_path / f".{path.name}.4712-1",
        tmp_path / "history.commands.parquet",
    )
    for each in (left, fresh, former):
        each.write_bytes(b"rows")
    long_ago = time.time() - 2 * LEFT
    os.utime(left, (long_ago, long_ago))
    cache.write(path, ROWS, {"a": "1"})
    assert sorted(each.name for each in tmp_path.iterdir()) == [fresh.name, path.name]
