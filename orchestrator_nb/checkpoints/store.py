"""The private repository in which checkpoints are kept: opened, made, locked, read."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from orchestrator_nb.checkpoints.git import Git
from orchestrator_nb.checkpoints.listing import listed
from orchestrator_nb.checkpoints.place import Place, configuration, find_place
from orchestrator_nb.checkpoints.record import Checkpoint, read_message, ref_of
from orchestrator_nb.errors import CheckpointError, CheckpointNotFound

ATTRIBUTES = "* -text -eol -ident -filter -working-tree-encoding -diff\n"
"""Above every attribute of the user: bytes go in and come out as they are, and no program of theirs is run."""

LEFT_OUT = "orchestrator-runs/\n.ipynb_checkpoints/\n__pycache__/\n.venv/\nnode_modules/\n.env\n.env.*\n*.pem\n.orchestrator-nb-rollback-*/\n"
"""What is in no checkpoint unless it is declared or tracked: what tools make anew, and secrets."""

CONFIGURATION = f"""\
[core]
\trepositoryformatversion = 0
\tbare = true
\tautocrlf = false
\tsafecrlf = false
\thooksPath = {os.devnull}
\tfsmonitor = false
\tuntrackedCache = false
\t# a few entries are written, not all of them: half the cost at ten thousand files
\tsplitIndex = true
\tpreloadIndex = false
\tattributesFile = {os.devnull}
\tlogAllRefUpdates = false
\tlooseCompression = 1
\tfsyncMethod = batch
[index]
\tthreads = 1
[gc]
\tauto = 0
[maintenance]
\tauto = false
[commit]
\tgpgSign = false
"""
"""What holds in the store whatever the user has configured; in its file, since git reads that sooner than variables."""

PATIENCE = 300.0
"""Seconds to wait for another process at work in the store: the first checkpoint of a large project takes long."""

_COMMIT = re.compile("[0-9a-f]{40}(?:[0-9a-f]{24})?")
_RECORD = "%(objectname)%00%(raw)%00"


class CheckpointStore:
    """The checkpoints of one work tree, of all its runs. What changes the store holds its lock meanwhile."""

    def __init__(self, place: Place, *, durable: bool = True) -> None:
        """Open the store, and make it where there is none; `durable` has every checkpoint survive a power cut.

        Raises CheckpointError.
        """
        self.place = place
        self.root = place.root
        self.folder = place.folder
        self.durable = durable
        self.packed: tuple[tuple[int, int, int], frozenset[bytes]] | None = None
        """The references that are packed, with the version of the file that has them."""
        flushed = "committed,loose-object,reference" if durable else "none"
        settings = (("core.fsync", flushed), *_excludes(place))
        self._variables = {
            "GIT_DIR": os.fspath(self.folder),
            "GIT_WORK_TREE": os.fspath(self.root),
            "GIT_CONFIG_GLOBAL": os.devnull,
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_LITERAL_PATHSPECS": "1",
            "GIT_ATTR_NOSYSTEM": "1",
            **{f"GIT_{who}_NAME": "orchestrator-nb" for who in ("AUTHOR", "COMMITTER")},
            **{f"GIT_{who}_EMAIL": "orchestrator-nb@localhost" for who in ("AUTHOR", "COMMITTER")},
            **configuration(settings),
        }
        self.git = Git(self.root, self._variables)
        self._taken: dict[str, Checkpoint] = {}
        try:
            self._make()
        except OSError as error:
            raise CheckpointError(
                f'checkpoints cannot be kept in "{self.folder}": {error.strerror or error}'
            ) from error

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Have the store for oneself, against other threads and processes; it falls free when its holder dies."""
        from filelock import FileLock, Timeout

        lock = FileLock(self.folder / "lock", timeout=PATIENCE, is_singleton=False, thread_local=False)
        try:
            lock.acquire(poll_interval=0.01)
        except Timeout as error:
            raise CheckpointError(f'"{self.folder}" has been in use by another process for {PATIENCE:.0f} s') from error
        try:
            yield
        finally:
            lock.release()

    def known(self, run: str) -> list[str]:
        """Return the paths that the last checkpoint of a run has, relative to the root."""
        last = self.last_taken(run)
        if last is None:
            return []
        told = self.git.run("ls-tree", "-r", "-z", "--name-only", "--full-tree", last.commit)
        return [path for path in os.fsdecode(told).split("\0") if path]

    def index(self, run: str) -> Path:
        """Return the index of a run, which is git's memory of what it has seen of every file."""
        return self.folder / "indexes" / ref_of(run).split("/")[2]

    def temporary_index(self) -> Path:
        """Return an index for a moment, to be used with the lock held; there is none yet."""
        path = self.folder / "indexes" / ".temporary"
        for each in (path, path.with_name(path.name + ".lock")):
            each.unlink(missing_ok=True)
        return path

    def with_index(self, index: Path) -> dict[str, str]:
        """Return what git has to be told to use this index."""
        return {"GIT_INDEX_FILE": os.fspath(index)}

    # ── reading ─────────────────────────────────────────────────────────────────────────────────────────────────

    def checkpoints(self, run: str | None = None) -> tuple[Checkpoint, ...]:
        """Return the checkpoints of a run, or of all, by run and number."""
        where = "refs/runs/" if run is None else ref_of(run)
        copies = listed(self.folder, where)
        if copies is not None:
            return tuple(_record(commit, raw) for commit, raw in copies)
        return _records(self.git.run("for-each-ref", f"--format={_RECORD}", where))

    def latest(self, run: str) -> Checkpoint | None:
        """Return the last checkpoint of a run."""
        where = ref_of(run)
        found = _records(self.git.run("for-each-ref", "--sort=-refname", "--count=1", f"--format={_RECORD}", where))
        return found[0] if found else None

    def last_taken(self, run: str) -> Checkpoint | None:
        """Return the last checkpoint of a run as this process knows it; another one may have taken one since."""
        known = self._taken.get(run)
        # A reference that is there and is not the last is told apart by whoever takes the next: its number is taken.
        return known if known is not None else self.latest(run)

    def remember(self, run: str, checkpoint: Checkpoint | None) -> None:
        """Take note of the last checkpoint of a run, or forget what is known about it."""
        if checkpoint is None:
            self._taken.pop(run, None)
        else:
            self._taken[run] = checkpoint

    def find(self, name: str, *, run: str | None = None) -> Checkpoint:
        """Return one checkpoint: by ``run/number``, by its number in `run`, by its name (the latest of it), by the id
        of its command (the latest success of it), by its kind (the latest of it), by the beginning of its commit, or by
        "latest".

        Without `run`, names are those of the run with the latest checkpoint. Raises CheckpointNotFound naming the
        nearest.
        """
        everything = self.checkpoints(None if "/" in name else run)
        if not everything:
            of = f' of the run "{run}"' if run else ""
            raise CheckpointNotFound(f'there are no checkpoints{of} in "{self.folder}"')
        asked, _, number = name.rpartition("/")
        run = asked or run or max(everything, key=lambda each: each.at).run
        of_run = [each for each in everything if each.run == run]
        fitting = [each for each in of_run if _fits(each, number)] or [each for each in of_run if each.kind == number]
        if not fitting and re.fullmatch("[0-9a-f]{7,64}", name):
            fitting = [each for each in everything if each.commit.startswith(name)]
        if fitting:
            return fitting[-1]
        from difflib import get_close_matches

        names = list(dict.fromkeys(known for each in of_run for known in (each.subject, each.kind, each.name) if known))
        near = get_close_matches(name, names, n=3, cutoff=0.5) or [each.name for each in of_run[-3:]]
        raise CheckpointNotFound(
            f'there is no checkpoint "{name}" of the run "{run}"; the nearest: {", ".join(near)}; all of them: '
            f"orchestrator-nb checkpoints {run}"
        )

    def user_position(self) -> tuple[str | None, str | None]:
        """Return the user's commit and branch, as far as there are any; read without changing anything."""
        if self.place.git_folder is None or self.place.common_folder is None:
            return None, None
        # Two files are read sooner than two programs are started; references kept in another form are asked for.
        with suppress(OSError, UnicodeDecodeError):
            head = (self.place.git_folder / "HEAD").read_text("utf-8").strip()
            if _COMMIT.fullmatch(head):
                return head, None
            branch = head.removeprefix("ref: ")
            commit = (self.place.common_folder / branch).read_text("utf-8").strip()
            if _COMMIT.fullmatch(commit):
                return commit, branch
        git = self.place.user_git()
        commit = git.run("rev-parse", "-q", "--verify", "HEAD", fine=(0, 1, 128)).decode().strip()
        branch = os.fsdecode(git.run("symbolic-ref", "-q", "HEAD", fine=(0, 1, 128))).strip()
        return commit or None, branch or None

    # ── making ──────────────────────────────────────────────────────────────────────────────────────────────────

    def _make(self) -> None:
        if not (self.folder / "ready").exists():
            self.folder.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            self.folder.mkdir(exist_ok=True, mode=0o700)
            with self.lock():
                # Making it again mends what a death in the middle has left; nothing that is there is lost by it.
                Git(self.folder, {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}).run(
                    "init", "-q", "--bare", "--template=", "--object-format=sha1", "-b", "none", os.fspath(self.folder)
                )
                for name in ("info", "indexes", "rollbacks", "stages"):
                    (self.folder / name).mkdir(exist_ok=True)
                (self.folder / "work-tree").write_text(json.dumps(os.fspath(self.root)), encoding="ascii")
                (self.folder / "ready").touch()
        _write_if_other(self.folder / "config", CONFIGURATION)
        _write_if_other(self.folder / "info" / "attributes", ATTRIBUTES)
        _write_if_other(self.folder / "info" / "exclude", self._left_out())

    def _left_out(self) -> str:
        lines = LEFT_OUT
        with suppress(ValueError):
            lines += f"/{self.place.runs.resolve().relative_to(self.root).as_posix()}/\n"
        if self.place.common_folder is not None:
            with suppress(OSError):
                lines += (self.place.common_folder / "info" / "exclude").read_text(errors="surrogateescape")
        return lines


def open_store(project: Path, *, runs: Path, durable: bool = True) -> CheckpointStore:
    """Open the checkpoints of the project in this folder; `runs` is the store of the runs. Raises CheckpointError."""
    return CheckpointStore(find_place(project, runs=runs), durable=durable)


def _excludes(place: Place) -> tuple[tuple[str, str], ...]:
    settings = dict(place.settings)
    given = settings.setdefault("core.excludesfile", "")
    if not given:
        home = os.environ.get("XDG_CONFIG_HOME") or os.path.join(os.path.expanduser("~"), ".config")
        settings["core.excludesfile"] = os.path.join(home, "git", "ignore")
    return tuple(settings.items())


def _write_if_other(path: Path, text: str) -> None:
    content = text.encode(errors="surrogateescape")
    if path.exists() and path.read_bytes() == content:
        return
    part = path.with_name(f".{path.name}.{os.getpid()}")
    part.write_bytes(content)
    os.replace(part, path)


def _records(told: bytes) -> tuple[Checkpoint, ...]:
    """Read commits as they are stored: "tree ID", other headers, an empty line, the message."""
    fields = told.split(b"\0")
    pairs = zip(fields[:-1:2], fields[1::2], strict=False)
    return tuple(_record(commit.strip().decode(), raw) for commit, raw in pairs)


def _record(commit: str, raw: bytes) -> Checkpoint:
    return read_message(raw, commit=commit, tree=raw[5 : raw.index(b"\n")].decode())


def _fits(checkpoint: Checkpoint, name: str) -> bool:
    if name.isdigit() and len(name) <= 6:
        return checkpoint.number == int(name)
    if name == "latest":
        return True
    return checkpoint.name == name or (checkpoint.kind == "command" and checkpoint.subject == name)
