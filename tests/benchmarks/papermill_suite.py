"""papermill's own test suite, with its own engine and with ours as the default: what passes with one has to with the other.

    python tests/benchmarks/papermill_suite.py [pytest's own options]

The suite comes from PyPI, in the version that is installed; nothing of it is kept. Tests for which a library is missing
here are left out for both.
"""

from __future__ import annotations

import importlib.metadata
import os
import re
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

OURS = """
from orchestrator_nb.commands.notebooks.engine import Engine, import_papermill

papermill = import_papermill()
for name in (None, "nbclient"):
    papermill.engines.papermill_engines.register(name, Engine)
"""
"""A plugin of pytest that makes ours the engine of every notebook that names none."""

ABOUT_THEIR_OWN = {
    "test_end2end_autosave_slow_notebook": "it counts how often papermill's own engine writes the file",
    "test_default_start_timeout": "it replaces the client of papermill's own engine by name",
    "test_start_timeout": "it replaces the client of papermill's own engine by name",
}
"""Tests that look at how papermill's own engine does its work, and not at what comes of it."""

_RESULT = re.compile(r"^(PASSED|FAILED|ERROR)\s+(\S+::\S+.*?)(?: - .*)?$", re.MULTILINE)


def suite(folder: Path) -> Path:
    """Bring the source of the installed papermill into a folder; return where it is."""
    version = importlib.metadata.version("papermill")
    subprocess.run(
        [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--no-binary", "papermill", f"papermill=={version}"],
        cwd=folder, check=True, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    (archive,) = folder.glob("papermill-*.tar.gz")
    with tarfile.open(archive) as file:
        file.extractall(folder, filter="data")
    return folder / archive.name.removesuffix(".tar.gz")


def results(place: Path, plugins: Path, options: list[str], *, ours: bool) -> dict[str, str]:
    """Run the suite and return the outcome of each test by its name."""
    plugin = ["-p", "ours"] if ours else []
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "papermill/tests", "-q", "-rA", "--tb=no", "-p", "no:cacheprovider",
         "--continue-on-collection-errors", "--timeout", "300", *plugin, *options],
        cwd=place, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(plugins)]), "PYTHONWARNINGS": "ignore"},
    )  # fmt: skip
    print(f"{'ours' if ours else 'papermill'}: {done.stdout.strip().splitlines()[-1]}", flush=True)
    return {name: outcome for outcome, name in _RESULT.findall(done.stdout)}


def main() -> int:
    """Print what differs; return 1 where a test of behaviour does."""
    with tempfile.TemporaryDirectory() as folder:
        plugins = Path(folder, "plugins")
        plugins.mkdir()
        (plugins / "ours.py").write_text(OURS, encoding="utf-8")
        place = suite(Path(folder))
        theirs, mine = (results(place, plugins, sys.argv[1:], ours=ours) for ours in (False, True))
    worse = [name for name, outcome in theirs.items() if outcome == "PASSED" and mine.get(name) != "PASSED"]
    better = [name for name, outcome in mine.items() if outcome == "PASSED" and theirs.get(name) != "PASSED"]
    for title, names in (("passes with papermill's engine only", worse), ("passes with ours only", better)):
        print(f"{title}: {len(names)}")
        for name in names:
            print(f"  {name}: {ABOUT_THEIR_OWN.get(name.rpartition('::')[2], 'not explained')}")
    return any(name.rpartition("::")[2] not in ABOUT_THEIR_OWN for name in worse)


if __name__ == "__main__":
    sys.exit(main())
