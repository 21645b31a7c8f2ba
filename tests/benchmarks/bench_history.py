"""What it costs to read a history of a million commands: frames, sums and dashboards, beside plain pandas and Parquet.

    python tests/benchmarks/bench_history.py [RUNS] [COMMANDS] [ROUNDS]

The index is generated: so many runs of so many commands each, every journal with the stamp that the index expects. Each
figure is the least CPU of whole processes, which take turns, less that of one that only imports; the first reading of a
frame, which writes the Parquet file, is a line of its own. `read_sql` and `read_table` are what anybody could write: the
ratios to them hold on a busy machine, too.
"""

from __future__ import annotations

import json
import os
import random
import sys
import tempfile
import time
from pathlib import Path

from measure import cpu_seconds, interleaved, python
from sqlalchemy import insert

from orchestrator_nb.analytics.dashboards import dashboard
from orchestrator_nb.analytics.history import History
from orchestrator_nb.journal.index import schema
from orchestrator_nb.journal.index.index import Index
from orchestrator_nb.journal.index.journals import stamps
from orchestrator_nb.journal.index.rows import new_run

IMPORTS = """import sys, sqlite3, pandas, pyarrow.parquet as pq
from pathlib import Path
from orchestrator_nb.analytics.history import History
from orchestrator_nb.analytics import overview, frames
from orchestrator_nb.analytics.dashboards import DASHBOARDS, dashboard
from orchestrator_nb.analytics.material import Material

def sums(name):
    found = Material(History(STORE), {}, DASHBOARDS[name][1])
    return found.digest, found.entries()
"""
READERS = {
    "nothing": "",
    "pandas.read_sql": "f = pandas.read_sql('select * from commands', sqlite3.connect(STORE / 'history.db')); "
    "assert len(f) == ROWS",
    "read_table": "f = pq.read_table(STORE / 'history.commands.parquet'); assert len(f) == ROWS",
    "read_table.to_pandas": "f = pq.read_table(STORE / 'history.commands.parquet').to_pandas(); assert len(f) == ROWS",
    "runs": "History(STORE).runs()",
    "overview": "overview.of_runs(History(STORE))",
    "by command": "overview.of_commands(History(STORE))",
    "commands": "f = History(STORE).commands(); assert len(f) == ROWS, len(f)",
    "commands of 30 days": "f = History(STORE).commands(since=NOW - 30 * 86400)",
    "failed commands": "f = History(STORE).commands(state='failed'); assert len(f)",
    **{f"sums of {name}": f"sums({name!r})" for name in ("real-time", "performance", "opportunities", "quality")},
    **{
        f"page of {name}": f"dashboard({name!r}, History(STORE)).to_html()"
        for name in ("real-time", "performance", "opportunities", "quality")
    },
}


def generate(store: Path, runs: int, commands: int) -> None:
    """Write an index of so many rows of commands and of attempts, and journals that it takes for the ones it was made of."""
    chance = random.Random(9)
    now = time.time()
    for number in range(runs):
        folder = store / f"w{number % 7}-20260101-000000-{number:04x}"
        folder.mkdir(parents=True)
        (folder / "journal.jsonl").write_text("{}\n")
    names = [column.name for column in schema.commands.columns]
    items = [[*(dict.fromkeys(names) | _command(place)).values()] for place in range(commands)]
    own = [names.index(name) for name in ("run_key", "started", "state", "seconds", "spent", "waited")]
    put = f"INSERT INTO commands VALUES ({', '.join('?' * len(names))})"
    tried = [column.name for column in schema.attempts.columns]
    put_tried = f"INSERT INTO attempts VALUES ({', '.join('?' * len(tried))})"
    index = Index(store)
    with index._writing() as connection:
        for key, (run, stamp) in enumerate(sorted(stamps(store).items()), start=1):
            started = now - 86400 * 365 * (1 - key / runs)
            row = {
                **new_run(run),
                "key": key,
                "workflow": run.split("-")[0],
                "started": started,
                "ended": started + 900.0,
                "seconds": 900.0 * chance.lognormvariate(0, 0.1),
                "slots": 2,
                "under_way": 850.0,
                "busy": 1100.0,
            }
            row.update(commands=commands, succeeded=commands, attempts=commands, phase="completed", state="completed")
            connection.execute(insert(schema.runs), row)
            connection.execute(
                insert(schema.positions),
                {"run_key": key, "stamp": str(stamp), "offset": 3, "seq": 9 * commands, "chain": f"{key:064x}"},
            )
            rows = [[*item] for item in items]
            attempts = []
            for place, values in enumerate(rows):
                failed, seconds, waited = chance.random() < 0.01, chance.expovariate(0.5), chance.random()
                values[own[0]], values[own[1]] = key, started
                values[own[2]] = "failed" if failed else "succeeded"
                values[own[3]] = values[own[4]] = seconds
                values[own[5]] = waited
                attempts.append(_attempt(key, place, started, seconds, waited, failed=failed))
            connection.exec_driver_sql(put, [tuple(values) for values in rows])
            connection.exec_driver_sql(put_tried, [tuple(map(attempt.get, tried)) for attempt in attempts])
            for place in range(min(4, commands)):
                rmse = {
                    "command": f"step-{place:03d}",
                    "attempt": 1,
                    "name": f"score_{place}",
                    "value": chance.gauss(3, 1),
                }
                connection.execute(insert(schema.metrics), {"run_key": key, "seq": place + 1, "at": started, **rmse})
                gate = {
                    "gate": f"score_{place} < 9",
                    "verdict": "passed",
                    "blocking": True,
                    "expected": f"score_{place} < 9",
                }
                gate |= {
                    "command": f"step-{place:03d}",
                    "attempt": 1,
                    "value": rmse["value"],
                    "message": "",
                    "seconds": 0.0,
                }
                connection.execute(insert(schema.gates), {"run_key": key, "seq": 10 + place, "at": started, **gate})
    index.close()


def _command(place: int) -> dict[str, object]:
    upstream = json.dumps([f"step-{place - 1:03d}"] if place else [])
    return {
        "command": f"step-{place:03d}", "position": place, "kind": "notebook", "upstream": upstream, "optional": False,
        "tags": '["etl"]', "fingerprint": f"{place:040x}", "program": f"step_{place}.ipynb", "generation": 1,
        "attempt": 1, "retry": 0, "returned": True, "deaths": 0, "reason": "",
    }  # fmt: skip


def _attempt(key: int, place: int, started: float, seconds: float, waited: float, *, failed: bool) -> dict[str, object]:
    said = {"failure_kind": "exception", "failure_type": "builtins.ValueError", "failure_message": "no such column"}
    return {
        "run_key": key, "command": f"step-{place:03d}", "attempt": 1, "generation": 1, "retry": 0, "started": started,
        "ended": started + seconds, "seconds": seconds, "waited": waited, "kernel_seconds": 0.1, "kernel_way": "forked",
        "cpu": 0.7 * seconds, "memory": 150_000_000, "read": 1_000, "written": 2_000, "received": 30_000, "sent": 4_000,
        "outcome": "failed" if failed else "returned", "lost": False, **(said if failed else {}),
    }  # fmt: skip


def main(runs: int, commands: int, rounds: int) -> None:
    """Print the CPU seconds of each reader."""
    with tempfile.TemporaryDirectory() as place:
        store = Path(place)
        generate(store, runs, commands)
        begin = f"{IMPORTS}STORE, ROWS, NOW = Path({place!r}), {runs * commands}, {time.time()}\n"
        first = cpu_seconds(python(begin + "History(STORE).commands()"))
        cpu_seconds(python(begin + "History(STORE).attempts()"))
        found = interleaved({name: python(begin + code) for name, code in READERS.items()}, rounds=rounds)
        least = {name: min(values) for name, values in found.items()}
        nothing = least.pop("nothing")
        print(
            f"{runs * commands:,} commands in {runs:,} runs; least CPU of {rounds} rounds in s, imports ({nothing:.2f}) left out"
        )
        print(f"  {'commands, the first time':26} {first - nothing:6.2f}")
        whole = least["pandas.read_sql"] - nothing
        for name, value in least.items():
            print(f"  {name:26} {value - nothing:6.2f}   {(value - nothing) / whole:6.3f} of read_sql")
        for name in ("real-time", "performance", "opportunities", "quality"):
            page = dashboard(name, History(store)).to_html()
            print(f"  page of {name}: {len(page.encode()) / 1e6:.2f} MB")
        for file in sorted(store.glob("history.*")):
            print(f"  {file.name}: {os.stat(file).st_size / 1e6:.0f} MB")


if __name__ == "__main__":
    given = [int(word) for word in sys.argv[1:]]
    main(*given, *(2000, 500, 3)[len(given) :])
