"""Real troubles: small file systems that fill up, and system calls that fail by strace's hand."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

import pytest

COMMAND = [sys.executable, "-c", "from orchestrator_nb.cli.main import main; main()"]


class Disk:
    """A file system of its own, which can be filled, emptied and made read-only."""

    def __init__(self, folder):
        self.folder = folder

    def mount(self, options):
        """Mount an empty one; skip the test where that is not allowed."""
        if sys.platform != "linux" or os.geteuid() != 0 or shutil.which("mount") is None:
            pytest.skip("a file system of its own needs root on Linux")
        self.folder.mkdir()
        done = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", options, "orchestrator-nb-test", str(self.folder)],
            capture_output=True,
            text=True,
        )
        if done.returncode:
            pytest.skip(f"no file system can be mounted here: {done.stderr.strip()}")

    def remount(self, options):
        """Change how it is mounted."""
        subprocess.run(["mount", "-o", f"remount,{options}", str(self.folder)], check=True)

    def fill(self, leaving=0):
        """Take all room but so many bytes."""
        with open(self.folder / "filler", "wb", buffering=0) as file:
            left = shutil.disk_usage(self.folder).free - leaving
            while left > 0:
                try:
                    left -= file.write(bytes(min(left, 1 << 20)))
                except OSError:
                    return

    def empty(self):
        """Give the room back."""
        (self.folder / "filler").unlink()


@pytest.fixture
def small_disk(tmp_path):
    """Return a function that mounts a small file system; it is gone after the test."""
    mounted = []

    def mount(options="size=4m"):
        disk = Disk(tmp_path / f"disk{len(mounted)}")
        disk.mount(options)
        mounted.append(disk)
        return disk

    yield mount
    for disk in mounted:
        subprocess.run(["umount", "--lazy", str(disk.folder)], check=False)


@pytest.fixture
def begin():
    """Start a Python program or a command line; what is left of it is ended with the test."""
    begun = []

    def start(*arguments, code=None, before=(), **options):
        what = COMMAND if code is None else [sys.executable, "-c", code]
        process = subprocess.Popen(
            [*before, *what, *map(str, arguments)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
            **options,
        )
        begun.append(process)
        return process

    yield start
    for process in begun:
        process.kill()
        process.communicate()
