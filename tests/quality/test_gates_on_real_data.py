"""A pipeline on real data, measurements of 344 penguins: every gate passes once, and fails once for a real cause."""

from __future__ import annotations

import shutil
from pathlib import Path

import nbformat
import pytest

import orchestrator_nb
from orchestrator_nb import RunFailed, Workflow
from orchestrator_nb.data.artifacts import Artifacts
from orchestrator_nb.errors import DefinitionError
from orchestrator_nb.quality import use

DATA = Path(orchestrator_nb.__file__).parent / "demo" / "penguins" / "penguins-raw.csv"

STEPS = '''\
"""The steps of the pipeline."""

import numpy as np
import pandas as pd

from orchestrator_nb import context


def clean(keep_missing=False):
    """Read the measurements; without the birds that were not measured."""
    raw = pd.read_csv("penguins-raw.csv")
    table = pd.DataFrame({
        "species": raw["Species"].str.split().str[0],
        "flipper_mm": raw["Flipper Length (mm)"],
        "mass_g": raw["Body Mass (g)"],
    })
    return table if keep_missing else table.dropna().reset_index(drop=True)


def model(clean, degree=1):
    """Fit body mass by flipper length; the error is in grams, on every fifth bird, left out of the fit."""
    test = clean.index % 5 == 0
    fitted = np.polyfit(clean["flipper_mm"][~test], clean["mass_g"][~test], degree)
    error = clean["mass_g"][test] - np.polyval(fitted, clean["flipper_mm"][test])
    context.metric("tokens", 40 * degree)
    return {"rmse": float(np.sqrt((error**2).mean())), "birds": len(clean)}


def tell(text="nothing to hide"):
    """Print something and attach a file."""
    print(text)
    return {"said": text}
'''

TANGLED = '''\
"""Sorts birds by size, with too many ways through it, and runs what it is told."""
import subprocess, os

def size(mass, species, sex):
    if species == "Adelie":
        if mass > 4000: return "large"
        elif mass > 3500: return "middle"
        elif mass > 3000 and sex == "FEMALE" or mass > 3200: return "small"
    elif species == "Gentoo":
        for limit in (5500, 5000, 4500):
            if mass > limit: return str(limit)
        while mass > 9000: mass -= 1
    return subprocess.call(f"echo {mass}", shell=True)
'''

COUNTING = '''\
"""Counts birds without a table library."""

import csv


def measured(path):
    with open(path, newline="") as file:
        rows = list(csv.DictReader(file))
    if not rows:
        raise ValueError("no birds")
    return [row for row in rows if row["Body Mass (g)"] != "NA"]


def by_species(rows):
    counts = {}
    for row in rows:
        counts[row["Species"]] = counts.get(row["Species"], 0) + 1
    return counts
'''

TESTS = """\
import counting


def test_the_measured_birds_are_kept():
    assert len(counting.measured("penguins-raw.csv")) == LENGTH


def test_nothing_is_missing():
    assert all(row["Body Mass (g)"].isdigit() for row in counting.measured("penguins-raw.csv"))
"""


@pytest.fixture
def penguins(project):
    """A project with the data and the steps; what is made in it is a command."""
    shutil.copy(DATA, project)
    (project / "steps.py").write_text(STEPS)
    (project / "tangled.py").write_text(TANGLED)
    (project / "counting.py").write_text(COUNTING)
    for name, length in (("test_right.py", 342), ("test_wrong.py", 344)):
        (project / name).write_text(TESTS.replace("LENGTH", str(length)))
    return project


def checked(command, gate, upstream=(), **options):
    """Run a command with one gate, which fails nothing, and return its verdict and the result."""
    flow = Workflow("penguins")
    for name in upstream:
        flow._add(name, {"call": f"steps:{name}"})
    entry = {"name": "it", "blocking": False, **(gate if isinstance(gate, dict) else {"gate": gate})}
    flow._add(command, {"call": f"steps:{command}", "gates": [entry], **options})
    result = flow.run()
    return result.commands[command].gates["it"], result


CASES = {
    "expression": (
        ("model", "rmse < 450", {}),
        ("model", "rmse < 450", {"parameters": {"degree": 0}}),
        "rmse is",
    ),
    "pandera": (
        ("clean", {"gate": "pandera", "options": {"columns": {"species": None, "mass_g": "float64"}}}, {}),
        (
            "clean",
            {"gate": "pandera", "options": {"columns": {"species": None, "mass_g": "float64"}}},
            {"parameters": {"keep_missing": True}},
        ),
        "mass_g: not_nullable",
    ),
    "targets": (
        ("model", "targets", {"targets": {"seconds": 60, "tokens": 100}}),
        ("model", "targets", {"targets": {"seconds": 60, "tokens": 100}, "parameters": {"degree": 3}}),
        "tokens is 120, more than 100",
    ),
    "secrets": (
        ("tell", "secrets", {}),
        ("tell", "secrets", {"parameters": {"text": "postgresql://ada:analytical-engine@db/birds"}}),
        "a password in an address in the result",
    ),
    "ruff": (
        ("clean", {"gate": "ruff", "options": {"select": ["E4", "E7", "F"]}}, {}),
        ("clean", {"gate": "ruff", "options": {"select": ["E4", "E7", "F"], "paths": "tangled.py"}}, {}),
        "tangled.py, line 2: E401",
    ),
    "complexity": (
        ("clean", "complexity", {}),
        ("clean", {"gate": "complexity", "options": {"paths": ["*.py"]}}, {}),
        "tangled.py, size has 11",
    ),
    "bandit": (
        ("clean", "bandit", {}),
        ("clean", {"gate": "bandit", "options": {"paths": "tangled.py"}}, {}),
        "tangled, line 13: B602",
    ),
    "pytest": (
        ("clean", {"gate": "pytest", "options": {"paths": "test_right.py"}}, {}),
        ("clean", {"gate": "pytest", "options": {"paths": "test_wrong.py"}}, {}),
        "1 of 2 tests failed: test_the_measured_birds_are_kept",
    ),
    "coverage": (
        ("clean", {"gate": "pytest", "options": {"paths": "test_right.py", "coverage": 40, "source": "counting"}}, {}),
        ("clean", {"gate": "pytest", "options": {"paths": "test_right.py", "coverage": 90, "source": "counting"}}, {}),
        "less than 90 %",
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_a_gate_passes_and_fails_for_a_real_cause(penguins, name):
    """The real tool on the real result, with the cause in its message and what it found among the artifacts."""
    (command, gate, options), (_, bad_gate, bad_options), said = CASES[name]
    upstream = ("clean",) if command == "model" else ()
    good, _ = checked(command, gate, upstream, **options)
    assert (good.verdict, good.message) == ("passed", "")
    bad, result = checked(command, bad_gate, upstream, **bad_options)
    assert bad.verdict == "failed", bad
    assert said in bad.message
    assert result.exit_code == 3
    if bad.evidence is not None:
        Artifacts(result.folder / "artifacts").verify(bad.evidence.artifact)


def notebook(path, threshold):
    """Write a notebook that counts the heavy birds; its stored output is that of 4000 grams."""
    cell = nbformat.v4.new_code_cell(
        f"import csv\nrows = list(csv.DictReader(open('penguins-raw.csv')))\n"
        f"sum(int(row['Body Mass (g)']) > {threshold} for row in rows if row['Body Mass (g)'] != 'NA')"
    )
    cell.execution_count = 1
    cell.outputs = [
        nbformat.v4.new_output("execute_result", data={"text/plain": "172"}, execution_count=1, metadata={})
    ]
    document = nbformat.v4.new_notebook(cells=[cell])
    document.metadata["kernelspec"] = {"name": "python3", "language": "python", "display_name": "Python 3"}
    nbformat.write(document, path)


@pytest.mark.kernel
def test_nbval_says_whether_a_notebook_still_gives_its_stored_outputs(penguins):
    """It runs the notebook once more; a changed threshold gives another count than the one that is stored."""
    found = {}
    for threshold in (4000, 5000):
        notebook(penguins / "heavy.ipynb", threshold)
        flow = Workflow("heavy")
        gates = [{"gate": "nbval", "blocking": False}, "secrets", {"gate": "targets", "blocking": False}]
        flow.notebook("heavy.ipynb", gates=gates, targets={"memory": "2 GB", "seconds": 100})
        found[threshold] = flow.run().commands["heavy"].gates
    assert found[4000]["nbval"].verdict == "passed", found[4000]["nbval"].message
    assert found[4000]["nbval"].value == {"cells": 1, "failed": 0}
    assert found[5000]["nbval"].verdict == "failed"
    assert "1 of 1 cells failed" in found[5000]["nbval"].message
    assert found[4000]["targets"].verdict == "passed"
    assert 10**7 < found[4000]["targets"].value["memory"] < 2 * 10**9


def test_a_baseline_gate_wants_what_it_was_told_to_want(penguins):
    """Better by so much, or worse by so little, than in the last run that completed."""
    strict = {"gate": "baseline", "options": {"value": "rmse", "better": "lower", "relative": 0.02}}
    lenient = {"gate": "baseline", "options": {"value": "rmse", "better": "lower", "relative": -0.02}}
    first, _ = checked("model", strict, ("clean",))
    assert "no baseline yet" in first.message
    same, _ = checked("model", strict, ("clean",))
    assert (same.verdict, "it was" in same.message) == ("failed", True)
    assert checked("model", lenient, ("clean",))[0].verdict == "passed"
    worse, _ = checked("model", lenient, ("clean",), parameters={"degree": 0})
    assert worse.verdict == "failed"


def test_an_anomaly_is_what_is_far_from_history(penguins):
    """Five runs say what is usual; half of the birds is not. It warns where nothing else is said."""
    gate = {"gate": "anomaly", "options": {"of": ["rows"]}, "blocking": None}
    for _ in range(5):
        usual, _ = checked("clean", gate)
        assert usual.verdict == "passed"
    lines = (penguins / "penguins-raw.csv").read_text().splitlines()
    (penguins / "penguins-raw.csv").write_text("\n".join(lines[:120]))
    odd, result = checked("clean", gate)
    assert (odd.verdict, odd.blocking, result.state) == ("failed", False, "completed")
    assert "rows is 118, usual is 342 (of 5 runs)" in odd.message


def test_recovery_answers_a_bad_gate(penguins):
    """A gate that may pass by itself has the command tried again, and its second result passes."""
    (penguins / "luck.py").write_text(
        "import steps\nfrom orchestrator_nb import context\n\n\n"
        "def model():\n    return steps.model(steps.clean(), 0 if context.attempt == 1 else 1)\n"
    )
    flow = Workflow("luck")
    gate = {"gate": "rmse < 450", "retry": True}
    flow._add("model", {"call": "luck:model", "gates": [gate], "retries": 1, "retry_delay": 0.01})
    result = flow.run()
    assert (result.commands["model"].attempt, result.state, result.deviations) == (2, "completed", {})


def test_a_missing_tool_is_said_before_anything_runs(penguins, monkeypatch):
    """In one line, with what installs it."""
    monkeypatch.setattr(use.importlib.util, "find_spec", lambda name: None)
    monkeypatch.setattr(use, "program_path", lambda name: None)
    flow = Workflow("w")
    flow._add("clean", {"call": "steps:clean", "gates": ["bandit", "ruff"]})
    with pytest.raises(DefinitionError, match=r'needs "bandit".*orchestrator-nb\[gates\]') as caught:
        flow.plan()
    assert len(caught.value.mistakes) == 2


def test_a_gate_that_takes_too_long_is_given_up(penguins):
    """Its program is ended, and the verdict says that it is the gate that could not be carried out."""
    (penguins / "test_slow.py").write_text("import time\n\ndef test_slow():\n    time.sleep(600)\n")
    flow = Workflow("w")
    gate = {"gate": "pytest", "options": {"paths": "test_slow.py"}, "timeout": 2}
    flow._add("clean", {"call": "steps:clean", "gates": [gate]})
    with pytest.raises(RunFailed, match='the gate "pytest" could not be checked: it was given up after 2 s'):
        flow.run()
