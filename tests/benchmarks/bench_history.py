"""What it costs to read a history of a million commands: frames, sums and dashboards, beside plain pandas and Parquet.

    python tests/benchmarks/bench_history.py [RUNS] [COMMANDS] [ROUNDS]

The index is generated: so many runs of so many commands each, every journal with the stamp that the index expects. Each
figure is the least CPU of whole processes, which take turns, less that of one that only imports (and collects what imports
leave behind); the first reading of a frame, which writes its file, is a line of its own. `read_sql` and `read_table` are what anybody could write: the
ratios to them hold on a busy machine, too.
"""

from __future__ import annotations

import json
import os
import sqlite3
import sys
import tempfile
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from measure import cpu_and_output, cpu_seconds, interleaved, python

from orchestrator_nb.analytics import cache
from orchestrator_nb.journal.index.index import Index
from orchestrator_nb.journal.index.journals import stamps
from orchestrator_nb.journal.index.rows import new_run

IMPORTS = """import gc, sys, sqlite3, pandas, pyarrow.parquet as pq
from pathlib import Path
from orchestrator_nb.analytics.history import History
from orchestrator_nb.analytics import overview, frames
from orchestrator_nb.analytics.dashboards import DASHBOARDS, dashboard
from orchestrator_nb.analytics.material import Material

PARTS = {"performance": ("spent", "returned", "failed"), "opportunities": ("spent", "trouble", "tried")}

def sums(name):
    found = Material(History(STORE), {}, DASHBOARDS[name][1])
    parts = [getattr(found.digest, part) for part in PARTS.get(name, ())]
    return found.entries(), parts, found.marks if name == "quality" else None

gc.collect()
"""
DASHBOARDS = ("real-time", "performance", "opportunities", "quality")
READERS = {
    "nothing": "",
    "pandas.read_sql": "f = pandas.read_sql('select * from commands', sqlite3.connect(STORE / 'history.db')); "
    "assert len(f) == ROWS",
    "read_table": "f = pq.read_table(STORE / 'plain.parquet'); assert len(f) == ROWS",
    "read_table.to_pandas": "f = pq.read_table(STORE / 'plain.parquet').to_pandas(); assert len(f) == ROWS",
    "runs": "History(STORE).runs()",
    "overview": "overview.of_runs(History(STORE))",
    "by command": "overview.of_commands(History(STORE))",
    "commands": "f = History(STORE).commands(); assert len(f) == ROWS, len(f)",
    "commands, all looked at": "f = History(STORE).commands(); f.describe(include='number'); f.memory_usage(deep=True)",
    "commands of 30 days": "f = History(STORE).commands(since=NOW - 30 * 86400)",
    "failed commands": "f = History(STORE).commands(state='failed'); assert len(f)",
    **{f"sums of {name}": f"sums({name!r})" for name in DASHBOARDS},
}


def generate(store: Path, runs: int, commands: int) -> None:
    """Write an index of so many runs over a year, of seven workflows in turn, and journals that it takes for the ones it was
    made of. Of a hundred attempts one fails; two in three of these return when tried again. Code changes now and then.

    The numbers alone are made in Python: the rows are put together inside SQLite.
    """
    for number in range(runs):
        folder = store / f"w{number % 7}-20260101-000000-{number:04x}"
        folder.mkdir(parents=True)
        (folder / "journal.jsonl").write_text("{}\n")
    index = Index(store)
    with index._writing():  # its tables
        pass
    index.close()
    chance, now = np.random.default_rng(9), time.time()
    with closing(sqlite3.connect(store / "history.db")) as base:
        base.executescript(
            "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA temp_store = MEMORY; DROP INDEX commands_by_id;"
            "CREATE TEMP TABLE numbers (run_key, place, started, seconds, waited, failed, again, code);"
        )
        for key, (run, stamp) in enumerate(sorted(stamps(store).items(), key=lambda item: item[0][-4:]), start=1):
            started = now - 86400 * 365 * (1 - key / runs)
            _put(base, "runs", [_run(key, run, started, commands, 900.0 * chance.lognormal(0, 0.1))])
            place = {"run_key": key, "stamp": str(stamp), "offset": 3, "seq": 9 * commands, "chain": f"{key:064x}"}
            _put(base, "positions", [place])
            fate = chance.random((2, commands))
            columns = (
                np.arange(commands), started + np.arange(commands), chance.exponential(2.0, commands), chance.random(commands),
                fate[0] < 0.01, (fate[0] < 0.01) & (fate[1] < 0.67), (key + 7 * np.arange(commands)) // 97,
            )  # fmt: skip
            rows = zip(*(column.tolist() for column in columns), strict=True)
            base.executemany(f"INSERT INTO numbers VALUES ({key}, ?, ?, ?, ?, ?, ?, ?)", rows)
            scores = chance.normal(3, 1, min(4, commands)).tolist()
            _put(base, "metrics", [_metric(key, place, started, score) for place, score in enumerate(scores)])
            _put(base, "gates", [_gate(key, place, started, score) for place, score in enumerate(scores)])
        _commands(base, commands)
        _attempts(base)
        base.execute("CREATE INDEX commands_by_id ON commands (command)")
        base.commit()


def _put(base: sqlite3.Connection, table: str, rows: list[dict[str, Any]]) -> None:
    names, marks = ", ".join(f'"{name}"' for name in rows[0]), ", ".join("?" * len(rows[0]))
    base.executemany(f"INSERT INTO {table} ({names}) VALUES ({marks})", [tuple(row.values()) for row in rows])


def _run(key: int, run: str, started: float, commands: int, seconds: float) -> dict[str, Any]:
    row = {
        name: json.dumps(value) if isinstance(value, (dict, list)) else value for name, value in new_run(run).items()
    }
    return row | {
        "key": key, "workflow": run.partition("-")[0], "started": started, "ended": started + seconds, "seconds": seconds,
        "slots": 2, "under_way": 0.95 * seconds, "busy": 1.2 * seconds, "commands": commands, "succeeded": commands,
        "attempts": commands, "events": 9 * commands, "phase": "completed", "state": "completed",
    }  # fmt: skip


def _commands(base: sqlite3.Connection, commands: int) -> None:
    """Write the rows of commands: what all runs say alike, and the numbers."""
    base.execute("CREATE TEMP TABLE plan (place INTEGER PRIMARY KEY, command, upstream, program)")
    plan = [
        (place, f"step-{place:03d}", json.dumps([f"step-{place - 1:03d}"] if place else []), f"step_{place}.ipynb")
        for place in range(commands)
    ]
    base.executemany("INSERT INTO plan VALUES (?, ?, ?, ?)", plan)
    own = {
        "run_key": "n.run_key", "command": "command", "position": "place", "kind": "'notebook'", "upstream": "upstream",
        "optional": "0", "tags": """CASE n.run_key % 3 WHEN 0 THEN '["etl"]' ELSE '["etl", "daily"]' END""",
        "fingerprint": "printf('%032d%08d', place, n.code)", "program": "program", "generation": "1",
        "state": "iif(n.failed AND NOT n.again, 'failed', 'succeeded')", "attempt": "1 + n.again", "retry": "n.again",
        "returned": "NOT n.failed OR n.again", "deaths": "0", "reason": "''", "started": "n.started",
        "seconds": "n.seconds", "spent": "n.seconds * (1 + n.again)", "waited": "n.waited",
    }  # fmt: skip
    said = f"SELECT {', '.join(own.values())} FROM numbers n JOIN plan USING (place) ORDER BY n.run_key, command"
    base.execute(f"INSERT INTO commands ({', '.join(own)}) {said}")


def _attempts(base: sqlite3.Connection) -> None:
    """Write the rows of attempts: the first ones, and the second ones of what was tried again."""
    own = {
        "run_key": "n.run_key", "command": "command", "generation": "1", "kernel_seconds": "0.1", "seconds": "n.seconds",
        "kernel_way": "'forked'", "cpu": "0.7 * n.seconds", "memory": "150000000", "read": "1000", "written": "2000",
        "received": "30000", "sent": "4000", "lost": "0", "waited": "n.waited",
    }  # fmt: skip
    bad = {
        "outcome": "iif(n.failed, 'failed', 'returned')", "failure_kind": "iif(n.failed, 'exception', NULL)",
        "failure_type": "iif(n.failed, 'builtins.ValueError', NULL)", "failure_message": "iif(n.failed, 'no such column', NULL)",
    }  # fmt: skip
    first = {**own, **bad, "attempt": "1", "retry": "0", "started": "n.started", "ended": "n.started + n.seconds"}
    again = {
        **own,
        "outcome": "'returned'",
        "attempt": "2",
        "retry": "1",
        "started": "n.started + 60",
        "ended": "n.started + 70",
    }
    for rows, which in ((first, ""), (again, "WHERE n.again")):
        said = f"SELECT {', '.join(rows.values())} FROM numbers n JOIN plan USING (place) {which} ORDER BY n.run_key, command"
        base.execute(f"INSERT INTO attempts ({', '.join(rows)}) {said}")


def _metric(key: int, place: int, at: float, score: float) -> dict[str, Any]:
    return {
        "run_key": key, "seq": place + 1, "at": at, "command": f"step-{place:03d}", "attempt": 1, "name": f"score_{place}",
        "value": score,
    }  # fmt: skip


def _gate(key: int, place: int, at: float, score: float) -> dict[str, Any]:
    wanted = f"score_{place} < 5"
    return {
        "run_key": key, "seq": 10 + place, "at": at, "gate": wanted, "expected": wanted, "blocking": True,
        "verdict": "passed" if score < 5 else "failed", "command": f"step-{place:03d}", "attempt": 1, "value": score,
        "message": "", "seconds": 0.0,
    }  # fmt: skip


def main(runs: int, commands: int, rounds: int) -> None:
    """Print the CPU seconds of each reader."""
    with tempfile.TemporaryDirectory() as place:
        store = Path(place)
        generate(store, runs, commands)
        begin = f"{IMPORTS}STORE, ROWS, NOW = Path({place!r}), {runs * commands}, {time.time()}\n"
        first = {
            "commands, the first time": cpu_seconds(python(begin + "History(STORE).commands()")),
            "sums, the first time": cpu_seconds(python(begin + "sums('performance')")),
        }
        table = pa.ipc.open_file(str(cache.path_of(store, "commands"))).read_all()
        pq.write_table(table.replace_schema_metadata(None), store / "plain.parquet", compression="lz4")
        found = interleaved({name: python(begin + code) for name, code in READERS.items()}, rounds=rounds)
        least = {name: min(values) for name, values in found.items()}
        nothing = least.pop("nothing")
        print(
            f"{runs * commands:,} commands in {runs:,} runs; least CPU of {rounds} rounds in s, imports ({nothing:.2f}) left out"
        )
        whole = least["pandas.read_sql"] - nothing
        for name, value in {**first, **least}.items():
            print(f"  {name:26} {value - nothing:6.2f}   {(value - nothing) / whole:6.3f} of read_sql")
        for name in DASHBOARDS:
            seconds, size = cpu_and_output(
                python(begin + f"print(len(dashboard({name!r}, History(STORE)).to_html().encode()))")
            )
            print(f"  page of {name:18} {seconds - nothing:6.2f}   {int(size) / 1e6:.2f} MB")
        for file in sorted(store.glob("*.*")):
            print(f"  {file.name}: {os.stat(file).st_size / 1e6:.0f} MB")


if __name__ == "__main__":
    given = [int(word) for word in sys.argv[1:]]
    main(*given, *(2000, 500, 2)[len(given) :])
