"""Artifacts: content once, whole, read-only, whoever writes and whenever it dies."""

from __future__ import annotations

import errno
import hashlib
import os
import signal
import stat
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from orchestrator_nb.data.artifacts import DRAFT, Artifacts
from orchestrator_nb.errors import StoreError

WRITER = """
import sys
from pathlib import Path
from orchestrator_nb.data.artifacts import Artifacts
artifacts = Artifacts(Path(sys.argv[1]))
sys.stdin.readline()
for number in range(40):
    artifacts.put_bytes(bytes([number]) * 50_000)
    artifacts.put_file(Path(sys.argv[2]))
"""

DIES_IN_THE_MIDDLE = """
import os, sys
from pathlib import Path
from orchestrator_nb.data.artifacts import Artifacts
with Artifacts(Path(sys.argv[1])).writer(suffix=".bin") as draft:
    draft.path.write_bytes(b"half")
    print("writing", flush=True)
    sys.stdin.readline()
"""


def files_of(artifacts: Artifacts) -> list[str]:
    return sorted(path.name for path in artifacts.folder.rglob("*") if path.is_file())


def test_content_is_found_by_its_hash_under_a_name_for_people(tmp_path):
    """The file is named by the SHA-256 of its content, with the suffix, and found without it."""
    artifacts = Artifacts(tmp_path)
    sha256, size = artifacts.put_bytes(b"hello", suffix=".txt")
    assert (sha256, size) == (hashlib.sha256(b"hello").hexdigest(), 5)
    assert artifacts.path(sha256) == tmp_path / sha256[:2] / f"{sha256}.txt"
    assert Artifacts(tmp_path).path(sha256).read_bytes() == b"hello"


@pytest.mark.parametrize("durable", [True, False])
def test_the_same_content_is_one_file(tmp_path, durable):
    """Content that comes again, by another way, with another suffix or in another process, is kept once."""
    artifacts = Artifacts(tmp_path / "kept", durable=durable)
    source = tmp_path / "data.csv"
    source.write_bytes(b"a,b\n")
    first = artifacts.put_bytes(b"a,b\n", suffix=".txt")
    assert artifacts.put_file(source) == first
    assert Artifacts(tmp_path / "kept").put_file(source, suffix=".other") == first
    assert files_of(artifacts) == [f"{first[0]}.txt"]


def test_a_stored_file_is_read_only(tmp_path):
    """Nobody may write to what is stored."""
    artifacts = Artifacts(tmp_path)
    sha256, _ = artifacts.put_bytes(b"x")
    assert stat.S_IMODE(artifacts.path(sha256).stat().st_mode) == 0o444


def test_a_copy_does_not_follow_its_source(tmp_path):
    """What happens to a file after it was stored changes nothing in the store."""
    source = tmp_path / "table.csv"
    source.write_text("1")
    artifacts = Artifacts(tmp_path / "kept")
    sha256, _ = artifacts.put_file(source)
    source.write_text("2")
    assert artifacts.path(sha256).read_text() == "1"
    assert artifacts.path(sha256).suffix == ".csv"


def test_a_missing_artifact_is_named(tmp_path):
    """Asking for content that is not there says which."""
    with pytest.raises(StoreError, match="deadbeef"):
        Artifacts(tmp_path).path("deadbeef" * 8)


def test_damage_is_found(tmp_path):
    """Verifying says when content is not what its name says."""
    artifacts = Artifacts(tmp_path)
    sha256, _ = artifacts.put_bytes(b"good")
    artifacts.verify(sha256)
    path = artifacts.path(sha256)
    path.chmod(0o600)
    path.write_bytes(b"evil")
    with pytest.raises(StoreError, match="damaged"):
        artifacts.verify(sha256)


def test_a_file_cut_short_by_a_power_cut_is_written_anew(tmp_path):
    """A name with less than its content behind it does not count as the content."""
    sha256, _ = Artifacts(tmp_path, durable=False).put_bytes(b"whole content")
    path = Artifacts(tmp_path).path(sha256)
    path.chmod(0o600)
    path.write_bytes(b"")
    later = Artifacts(tmp_path)
    later.put_bytes(b"whole content")
    later.verify(sha256)


def test_a_draft_whose_writing_fails_is_thrown_away(tmp_path):
    """An exception in the middle of writing leaves nothing behind."""
    artifacts = Artifacts(tmp_path)
    with pytest.raises(ZeroDivisionError), artifacts.writer() as draft:
        draft.path.write_bytes(b"half")
        raise ZeroDivisionError
    assert files_of(artifacts) == []


def test_a_store_that_cannot_be_written_is_said(tmp_path):
    """A folder that is a file cannot keep artifacts, and the message names it."""
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="file"):
        Artifacts(tmp_path / "file").put_bytes(b"x")


def test_threads_write_the_same_content_at_once(tmp_path):
    """Any number of threads may store the same content: one file, and no draft is left."""
    artifacts = Artifacts(tmp_path)
    start = threading.Barrier(8)

    def write(_: int) -> None:
        start.wait()
        for number in range(20):
            artifacts.put_bytes(bytes([number]) * 10_000)

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(write, range(8)))
    assert len(files_of(artifacts)) == 20


def test_two_processes_write_the_same_artifacts(tmp_path):
    """Processes that store the same content at once leave one whole file of each, and no draft."""
    source = tmp_path / "big.bin"
    source.write_bytes(os.urandom(300_000))
    command = [sys.executable, "-c", WRITER, str(tmp_path / "kept"), str(source)]
    writers = [subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    for writer in writers:
        writer.stdin.write("go\n")
        writer.stdin.flush()
    for writer in writers:
        _, said = writer.communicate(timeout=60)
        assert writer.returncode == 0, said
    artifacts = Artifacts(tmp_path / "kept")
    names = files_of(artifacts)
    assert len(names) == 41
    for name in names:
        artifacts.verify(name[:64])


def test_a_draft_of_a_killed_process_never_counts(tmp_path):
    """What a writer leaves when it is killed in the middle is found by nobody, and can be cleared away."""
    command = [sys.executable, "-c", DIES_IN_THE_MIDDLE, str(tmp_path)]
    writer = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert writer.stdout.readline() == "writing\n"
    writer.send_signal(signal.SIGKILL)
    writer.wait(timeout=30)
    writer.communicate()
    artifacts = Artifacts(tmp_path)
    assert [name.startswith(DRAFT) for name in files_of(artifacts)] == [True]
    with pytest.raises(StoreError):
        artifacts.path(hashlib.sha256(b"half").hexdigest())
    assert artifacts.remove_leftovers() == 0
    left = tmp_path / files_of(artifacts)[0]
    os.utime(left, (time.time() - 7200, time.time() - 7200))
    assert artifacts.remove_leftovers() == 1
    assert files_of(artifacts) == []


def test_an_artifact_is_adopted_as_the_same_file(tmp_path):
    """Another folder has it without a copy where that can be, with its suffix, read-only, and keeps it."""
    one, other = Artifacts(tmp_path / "one"), Artifacts(tmp_path / "other")
    sha256, _ = one.put_bytes(b"content", suffix=".csv")
    for _ in range(2):
        other.adopt(sha256, source=one)
    assert files_of(other) == files_of(one) == [f"{sha256}.csv"]
    assert other.path(sha256).stat().st_mode & 0o222 == 0
    assert one.path(sha256).stat().st_mode & 0o222 == 0
    os.unlink(one.path(sha256))
    other.verify(sha256)


def test_an_artifact_is_copied_where_it_cannot_be_linked(tmp_path, monkeypatch):
    """As on a file system of its own."""

    def refuse(*_):
        raise OSError(errno.EXDEV, "another device")

    one, other = Artifacts(tmp_path / "one"), Artifacts(tmp_path / "other")
    sha256, _ = one.put_bytes(b"content", suffix=".csv")
    monkeypatch.setattr(os, "link", refuse)
    other.adopt(sha256, source=one)
    assert files_of(other) == [f"{sha256}.csv"]
    assert not other.path(sha256).samefile(one.path(sha256))


@pytest.mark.parametrize("damage", [b"other content", None], ids=["damaged", "gone"])
def test_what_is_not_whole_is_not_adopted(tmp_path, damage):
    """It is named, and nothing of it is left."""
    one, other = Artifacts(tmp_path / "one"), Artifacts(tmp_path / "other")
    sha256, _ = one.put_bytes(b"content")
    path = one.path(sha256)
    path.unlink()
    if damage is not None:
        path.write_bytes(damage)
    with pytest.raises(StoreError, match=sha256):
        Artifacts(other.folder).adopt(sha256, source=Artifacts(one.folder))
    assert not other.folder.exists() or files_of(other) == []
