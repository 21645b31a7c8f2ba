"""The tables of the index; each column says what it holds, and in which unit.

Times are seconds since the epoch by the wall clock, durations seconds by the monotonic clock. A run is named by its
`run_key` in every table but `runs`; the number means nothing outside this file. What a command made is not here: the
journal has it. There is no table of all events either: it would be the journals once more, and those of one run are
read as quickly from its journal.
"""

from __future__ import annotations

from typing import Any
from zlib import crc32

from sqlalchemy import JSON, Boolean, Column, Float, Index, Integer, MetaData, Table, Text

from orchestrator_nb.state.transitions import COMMAND_STATES

MEANING = 2
"""To be raised when other values go into the same columns; other columns are noticed by themselves, see VERSION."""

COUNTED = tuple(state for state in COMMAND_STATES if state != "ready")
"""The recorded states of a command. In `runs` each has a column that counts the commands in it."""

metadata = MetaData()


def _column(name: str, kind: Any, comment: str, *, key: bool = False, optional: bool = False) -> Column[Any]:
    return Column(name, kind, comment=comment, primary_key=key, nullable=optional, autoincrement=False)


def _of_run() -> Column[Any]:
    return _column("run_key", Integer, "the run, by its key in runs", key=True)


def _failure() -> list[Column[Any]]:
    return [
        _column("failure_kind", Text, "how it failed: exception, exit_code, timeout, kernel_died …", optional=True),
        _column("failure_type", Text, "qualified name of the exception's class", optional=True),
        _column("failure_message", Text, "what the failure says", optional=True),
    ]


runs = Table(
    "runs",
    metadata,
    Column("key", Integer, primary_key=True, comment="number of the run in this index"),
    Column("run", Text, nullable=False, unique=True, comment="id of the run: the name of its folder in the store"),
    _column("workflow", Text, "id of the workflow, empty until the run has begun"),
    _column("state", Text, "recorded state of the run, new until it has begun"),
    _column("phase", Text, "state as people see it: executing is recovering or degraded where it is"),
    _column("parent", Text, "id of the run that it is a part of", optional=True),
    _column("parameters", JSON, "parameters of the run"),
    _column("settings", JSON, "context, quality requirements and how it is driven, as far as they were given"),
    _column("durability", Text, "full or process"),
    _column("slots", Integer, "commands that may run at a time (count)"),
    _column("version", Text, "version of the package that began it"),
    _column("owner", JSON, "process that owns it or owned it last: pid, host, user …"),
    _column("reason", Text, "why it is paused, was stopped or ended as it did"),
    _column("leaving", Boolean, "paused because its owner left"),
    _column("generation", Integer, "counts from 1; one more each time it went on after an end (count)"),
    _column("resumes", Integer, "how often it went on (count)"),
    _column("started", Float, "when it was opened (seconds since the epoch)", optional=True),
    _column("going", Float, "when its plan held, or when it last went on (seconds since the epoch)", optional=True),
    _column("ended", Float, "when it ended or was left (seconds since the epoch)", optional=True),
    _column("last", Float, "when something last happened (seconds since the epoch)", optional=True),
    _column("seconds", Float, "for how long it was driven, up to its end or to what last happened (seconds)"),
    _column("under_way", Float, "for how long at least one attempt was under way (seconds)"),
    _column("last_attempt_ended", Float, "when an attempt last ended (seconds since the epoch)", optional=True),
    _column("commands", Integer, "commands in the plan (count)"),
    *(_column(state, Integer, f"commands that are {state} (count)") for state in COUNTED),
    _column("attempts", Integer, "attempts begun (count)"),
    _column("retries", Integer, "retries scheduled (count)"),
    _column("busy", Float, "duration of all attempts that ended, summed (seconds)"),
    _column("deviations", JSON, "texts of the deviations, by command"),
    _column("notices", Integer, "notices given (count)"),
    _column("events", Integer, "events recorded (count)"),
    _column("damaged", Text, "why the journal cannot be read beyond what is here", optional=True),
    Index("runs_by_start", "started"),
)

commands = Table(
    "commands",
    metadata,
    _of_run(),
    _column("command", Text, "id of the command", key=True),
    _column("position", Integer, "place in the plan, from 0 (count)"),
    _column("kind", Text, "type of command: notebook, callable, shell …"),
    _column("upstream", JSON, "ids of the commands whose results it waits for"),
    _column("optional", Boolean, "the run may complete without it"),
    _column("tags", JSON, "tags of the command"),
    _column("fingerprint", Text, "of what it runs and with what"),
    _column("program", Text, "what it runs, where that is known"),
    _column("state", Text, "recorded state; a pending one whose upstream is done is ready"),
    _column("generation", Integer, "counts from 1; one more each time it was reopened (count)"),
    _column("attempt", Integer, "number of the last attempt over the whole run, 0 before the first (count)"),
    _column("retry", Integer, "retries in this generation (count)"),
    _column("returned", Boolean, "the last attempt came back and its result is stored"),
    _column("deaths", Integer, "owners that died in this generation while it was under way (count)"),
    _column("started", Float, "when the last attempt began (seconds since the epoch)", optional=True),
    _column("ended", Float, "when the last attempt ended (seconds since the epoch)", optional=True),
    _column("seconds", Float, "duration of the last attempt that ended, 0 without one (seconds)"),
    _column("spent", Float, "duration of all its attempts that ended, summed (seconds)"),
    _column("waited", Float, "time for which all its attempts could have started and had not, summed (seconds)"),
    _column(
        "free",
        Float,
        "when it was last put back: reopened, interrupted, its retry due (seconds since the epoch)",
        optional=True,
    ),
    _column("settled", Float, "when its generation came to its end (seconds since the epoch)", optional=True),
    _column("due", Float, "when the retry is due (seconds since the epoch)", optional=True),
    _column("reason", Text, "why it is where it is"),
    *_failure(),
    _column("cell", Integer, "code cell of the last attempt that began last, from 1 (count)", optional=True),
    _column("cells", Integer, "code cells of the notebook (count)", optional=True),
    _column("notebook", Text, "output notebook, relative to the run's folder", optional=True),
    _column("log", Text, "what it printed, relative to the run's folder", optional=True),
    Index("commands_by_id", "command"),
    sqlite_with_rowid=False,
)

attempts = Table(
    "attempts",
    metadata,
    _of_run(),
    _column("command", Text, "id of the command", key=True),
    _column("attempt", Integer, "number over the whole run, from 1 (count)", key=True),
    _column("generation", Integer, "generation of the command (count)"),
    _column("retry", Integer, "retries before it in this generation (count)"),
    _column("started", Float, "when it began (seconds since the epoch)"),
    _column("ended", Float, "when it ended (seconds since the epoch)", optional=True),
    _column("seconds", Float, "duration (seconds)", optional=True),
    _column(
        "waited", Float, "time for which it could have started and had not: for a slot, or for what it needs (seconds)"
    ),
    _column("kernel_seconds", Float, "until its kernel was started (seconds)", optional=True),
    _column("kernel_way", Text, "how its kernel was started: forked or plain", optional=True),
    _column("cpu", Float, "processor time of its process tree, or of its thread (seconds)", optional=True),
    _column("memory", Integer, "most resident memory of its process tree; none for a thread (bytes)", optional=True),
    _column("read", Integer, "read from disks (bytes)", optional=True),
    _column("written", Integer, "written to disks (bytes)", optional=True),
    _column("received", Integer, "received by the whole machine meanwhile (bytes)", optional=True),
    _column("sent", Integer, "sent by the whole machine meanwhile (bytes)", optional=True),
    _column("gate_seconds", Float, "for its gates (seconds)", optional=True),
    _column("checkpoint_seconds", Float, "for the checkpoint after it (seconds)", optional=True),
    _column("outcome", Text, "running, returned, failed, crashed, abandoned, interrupted or reused"),
    _column("lost", Boolean, "interrupted by the death of its owner"),
    _column("reason", Text, "why it was interrupted", optional=True),
    *_failure(),
    _column("result_form", Text, "stored form of the result: json, parquet, npy, file …", optional=True),
    _column("result_size", Integer, "size of the result where it is kept in a file (bytes)", optional=True),
    _column("notebook", Text, "output notebook, relative to the run's folder", optional=True),
    _column("log", Text, "what it printed, relative to the run's folder", optional=True),
    sqlite_with_rowid=False,
)

cells = Table(
    "cells",
    metadata,
    _of_run(),
    _column("command", Text, "id of the command", key=True),
    _column("attempt", Integer, "number of the attempt (count)", key=True),
    _column("cell", Integer, "place among all cells of the notebook, from 0 (count)", key=True),
    _column("number", Integer, "place among its code cells, from 1 (count)"),
    _column("of", Integer, "code cells of the notebook (count)"),
    _column("started", Float, "when it began (seconds since the epoch)"),
    _column("ended", Float, "when it ended (seconds since the epoch)", optional=True),
    _column("seconds", Float, "duration (seconds)", optional=True),
    _column("status", Text, "running, completed or failed"),
    _column("outputs", Integer, "outputs of the cell (count)", optional=True),
    _column("peak_memory", Integer, "most memory that the kernel has had by its end (bytes)", optional=True),
    sqlite_with_rowid=False,
)

metrics = Table(
    "metrics",
    metadata,
    _of_run(),
    _column("seq", Integer, "number of the event in the journal (count)", key=True),
    _column("command", Text, "id of the command"),
    _column("attempt", Integer, "number of the attempt (count)"),
    _column("name", Text, "name of the metric"),
    _column("at", Float, "when it was recorded (seconds since the epoch)"),
    _column("value", Float, "the number, in the unit of whoever recorded it", optional=True),
    Index("metrics_by_name", "name"),
    sqlite_with_rowid=False,
)

notices = Table(
    "notices",
    metadata,
    _of_run(),
    _column("seq", Integer, "number of the event in the journal (count)", key=True),
    _column("at", Float, "when it was given (seconds since the epoch)"),
    _column("command", Text, "id of the command that it is about", optional=True),
    _column("attempt", Integer, "number of the attempt that it is about (count)", optional=True),
    _column("text", Text, "what a person should know"),
    sqlite_with_rowid=False,
)

checkpoints = Table(
    "checkpoints",
    metadata,
    _of_run(),
    _column("seq", Integer, "number of the event in the journal (count)", key=True),
    _column("at", Float, "when it was taken, or was to be (seconds since the epoch)"),
    _column("boundary", Text, "where in the run: start, command, gate, recovery, pause, completion, left"),
    _column("taken", Boolean, "the files were kept; else the run went on without"),
    _column("id", Text, "name of the checkpoint over all runs", optional=True),
    _column("commit", Text, "hash of its commit", optional=True),
    _column("message", Text, "first line of the commit's message", optional=True),
    _column("files", Integer, "files that had changed since the one before (count)", optional=True),
    _column("seconds", Float, "how long it took (seconds)", optional=True),
    _column("command", Text, "id of the command that it is of", optional=True),
    _column("attempt", Integer, "number of the attempt that it is of (count)", optional=True),
    _column("reason", Text, "why it was not taken", optional=True),
    sqlite_with_rowid=False,
)

gates = Table(
    "gates",
    metadata,
    _of_run(),
    _column("seq", Integer, "number of the event in the journal (count)", key=True),
    _column("at", Float, "when it was checked (seconds since the epoch)"),
    _column("gate", Text, "what it is called"),
    _column("command", Text, "id of the command that it was held against; none for the run as a whole", optional=True),
    _column("attempt", Integer, "number of the attempt (count)", optional=True),
    _column("verdict", Text, "passed, failed, or error where the gate could not be carried out"),
    _column("blocking", Boolean, "nothing goes on without it"),
    _column("value", Float, "what was found, where it is a number, in the unit of the gate", optional=True),
    _column("expected", Text, "what should have been, in words"),
    _column("message", Text, "what is wrong, or worth knowing"),
    _column("seconds", Float, "how long it took (seconds)"),
    sqlite_with_rowid=False,
)

decisions = Table(
    "decisions",
    metadata,
    _of_run(),
    _column("number", Integer, "number of the decision in its run, from 1 (count)", key=True),
    _column("started", Float, "when it was asked for (seconds since the epoch)"),
    _column("command", Text, "id of the command that it is about", optional=True),
    _column("question", Text, "what is asked"),
    _column("options", JSON, "the answers that there are"),
    _column("level", Integer, "level of escalation: 2 guided, 3 by hand, 4 handed over (count)"),
    _column("default", Text, "the answer that is taken at the deadline", optional=True),
    _column("deadline", Float, "until when somebody can answer (seconds since the epoch)", optional=True),
    _column("answer", Text, "the answer", optional=True),
    _column("answered", Float, "when it was answered (seconds since the epoch)", optional=True),
    _column("by_default", Boolean, "nobody had answered, so that the default was taken", optional=True),
    _column("note", Text, "what was said with the answer", optional=True),
    _column("person", Text, "who answered", optional=True),
    sqlite_with_rowid=False,
)

positions = Table(
    "positions",
    metadata,
    _of_run(),
    _column("stamp", Text, "inode, size (bytes) and times of the journal when it was last read to its end"),
    _column("offset", Integer, "how far it is in the rows (bytes)"),
    _column("seq", Integer, "events that are in the rows (count)"),
    _column("chain", Text, "hash of the last line that is in the rows"),
    sqlite_with_rowid=False,
)

OF_A_RUN = (commands, attempts, cells, metrics, notices, checkpoints, gates, decisions, positions)
"""The tables with rows of a run, `runs` itself left out."""

_LAYOUT = [(str(column), str(column.type)) for table in metadata.sorted_tables for column in table.columns]

VERSION = crc32(repr((MEANING, _LAYOUT)).encode()) >> 1
"""Of the tables and of what goes into them (31 bits); a file of another version is emptied and filled again."""
