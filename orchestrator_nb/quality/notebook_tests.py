"""Gates that run tests: nbval on notebooks, pytest on test files, with what they measured and their report as evidence."""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

from orchestrator_nb.definition.models import CommandDefinition, GateDefinition
from orchestrator_nb.errors import Mistake, UsageError
from orchestrator_nb.events import Stored
from orchestrator_nb.ports import Gate, Subject, Verdict
from orchestrator_nb.quality.use import NUMBER, TEXTS, code_files, missing_tools, texts, wrong_options

NO_TESTS = 5
"""The exit code of pytest when it found none."""


class NbvalGate(Gate):
    """A notebook still gives the outputs that are stored in it: nbval runs it once more and compares.

    `of` is source (default: the notebook as its author stored it) or output (the one that the attempt left, which has to
    give the same again); `lax` compares marked cells only; `sanitize` is a file with nbval's patterns, or a mapping of
    patterns to what stands for what they match; `cell_timeout` is in seconds.
    """

    name = "nbval"

    def check(self, gate: GateDefinition, command: CommandDefinition | None, *, folder: Path) -> list[Mistake]:
        """Return wrong options, missing tools, and a command that is no notebook."""
        kinds = {"of": (str,), "lax": (bool,), "sanitize": (str, dict), "cell_timeout": NUMBER, "paths": TEXTS}
        found = [*wrong_options(gate, kinds), *missing_tools(gate, "pytest", "nbval")]
        if gate.options.get("of", "source") not in ("source", "output"):
            found.append(Mistake('"of" is another notebook', "/options/of", expected="source or output"))
        if "paths" not in gate.options and (command is None or command.notebook is None):
            found.append(Mistake("nbval looks at notebooks", "/gate", expected="it on a notebook, or `paths`"))
        sanitize = gate.options.get("sanitize")
        if isinstance(sanitize, str) and not (folder / sanitize).is_file():
            found.append(Mistake("there is no such file", "/options/sanitize", found=f'"{sanitize}"'))
        return found

    def verdict(self, subject: Subject) -> Verdict:
        """Run nbval and return how many cells gave what is stored."""
        options = subject.options
        argv = ["--nbval-lax" if options.get("lax") else "--nbval", "--nbval-current-env"]
        argv += [f"--nbval-cell-timeout={options['cell_timeout']}"] if "cell_timeout" in options else []
        with tempfile.TemporaryDirectory(prefix="orchestrator-nb-nbval-") as text:
            place = Path(text)
            sanitize = options.get("sanitize")
            if isinstance(sanitize, str):
                argv += ["--nbval-sanitize-with", str(subject.folder / sanitize)]
            elif sanitize:
                argv += ["--nbval-sanitize-with", str(_patterns(sanitize, place / "sanitize.cfg"))]
            if options.get("of") == "output" and subject.record.notebook:
                notebook = place / "output.ipynb"
                shutil.copyfile(subject.run_folder / subject.record.notebook, notebook)
                files = [notebook]
            else:
                files = code_files(options, subject.definition, subject.folder)
            # Notebooks need no other plugin, and those that happen to be installed take their time.
            alone = {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
            return _tested(subject, ["-p", "nbval.plugin", *argv, *map(str, files)], "cells", place, env=alone)


class PytestGate(Gate):
    """Tests pass, and cover enough: `paths` are the tests, `args` further arguments, `coverage` the least percentage of
    the lines of `source` (modules or folders) that they have to run."""

    name = "pytest"

    def check(
        self,
        gate: GateDefinition,
        command: CommandDefinition | None,  # noqa: ARG002 - the contract
        *,
        folder: Path,
    ) -> list[Mistake]:
        """Return wrong options, missing tools, and paths that are not there."""
        kinds = {"paths": TEXTS, "args": TEXTS, "coverage": NUMBER, "source": TEXTS}
        found = wrong_options(gate, kinds, needed=("paths",))
        found += missing_tools(gate, "pytest", *(["pytest_cov"] if "coverage" in gate.options else []))
        for text in texts(gate.options.get("paths")):
            if not (folder / text.partition("::")[0]).exists():
                found.append(Mistake("there are no such tests", "/options/paths", found=f'"{text}"'))
        return found

    def verdict(self, subject: Subject) -> Verdict:
        """Run the tests and return how many passed, and what they covered."""
        options = subject.options
        argv = [*texts(options.get("args")), *texts(options["paths"])]
        with tempfile.TemporaryDirectory(prefix="orchestrator-nb-pytest-") as text:
            place = Path(text)
            if "coverage" in options:
                argv += [f"--cov={source}" for source in texts(options.get("source")) or ["."]]
                argv += [f"--cov-report=json:{place / 'coverage.json'}", "--cov-fail-under=0"]
            found = _tested(subject, argv, "tests", place)
            if "coverage" not in options or not (place / "coverage.json").exists():
                return found
            percent = json.loads((place / "coverage.json").read_bytes())["totals"]["percent_covered"]
        covered = percent >= options["coverage"]
        text = "" if covered else f"{percent:.1f} % of the lines are run by tests, less than {options['coverage']:g} %"
        return Verdict(
            holds=found.holds and covered,
            value={**found.value, "coverage": round(percent, 2)},
            expected=f"{found.expected}, at least {options['coverage']:g} % of the lines covered",
            message="; ".join(filter(None, (found.message, text))),
            evidence=found.evidence,
        )


def _patterns(given: dict[str, Any], path: Path) -> Path:
    """Write patterns as nbval reads them."""
    lines = [
        f"[pattern {number}]\nregex: {pattern}\nreplace: {replacement}\n"
        for number, (pattern, replacement) in enumerate(given.items())
    ]
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


def _tested(
    subject: Subject, argv: list[str], what: str, place: Path, *, env: Mapping[str, str] | None = None
) -> Verdict:
    """Run pytest and return its verdict; it reads the configuration of the folder, but writes nothing there."""
    report = place / "report.xml"
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", f"--junitxml={report}", *argv]
    own = {"PYTHONDONTWRITEBYTECODE": "1", "COVERAGE_FILE": str(place / "data"), **(env or {})}
    code, printed = subject.program(command, env=own)
    if code not in (0, 1) or not report.exists():
        why = "it found nothing to test" if code == NO_TESTS else f"pytest ended with exit code {code}"
        raise UsageError(f"{why}: {printed[-1000:].strip()}")
    count, bad = _counted(report)
    evidence: Stored = subject.keep(printed, f"{what}.txt")
    return Verdict(
        holds=code == 0,
        value={what: count, "failed": len(bad)},
        expected=f"all {what} pass",
        message=f"{len(bad)} of {count} {what} failed: {', '.join(bad[:5])}" if bad else "",
        evidence=evidence,
    )


def _counted(report: Path) -> tuple[int, list[str]]:
    cases = ET.parse(report).getroot().iter("testcase")  # noqa: S314 - as above
    found = [(case.get("name", "?"), any(part.tag in ("failure", "error") for part in case)) for case in cases]
    return len(found), [name for name, is_bad in found if is_bad]
