"""Gates on code, of notebooks and of modules: ruff, complexity, bandit."""

from __future__ import annotations

import ast
import json
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from orchestrator_nb.definition.models import CommandDefinition, GateDefinition
from orchestrator_nb.errors import Mistake, UsageError
from orchestrator_nb.ports import Gate, Subject, Verdict
from orchestrator_nb.quality.use import (
    TEXTS,
    code_files,
    missing_program,
    missing_tools,
    notebook_code,
    program_path,
    texts,
    wrong_options,
)

LEVELS = ("low", "medium", "high")
SHOWN = 5
_BRANCHES = (
    ast.If, ast.For, ast.AsyncFor, ast.While, ast.ExceptHandler, ast.With, ast.AsyncWith, ast.Assert, ast.IfExp,
    ast.comprehension, ast.match_case,
)  # fmt: skip


def _no_code(gate: GateDefinition, command: CommandDefinition | None, folder: Path) -> list[Mistake]:
    try:
        code_files(gate.options, command, folder)
    except UsageError as error:
        return [Mistake(str(error), "/options/paths" if "paths" in gate.options else "/gate")]
    return []


class RuffGate(Gate):
    """Ruff finds nothing to complain about, or `most` findings at the most; `select` and `ignore` are its rules, else
    those of the project's configuration hold; `paths` is the code, else that of the command."""

    name = "ruff"

    def check(self, gate: GateDefinition, command: CommandDefinition | None, *, folder: Path) -> list[Mistake]:
        """Return wrong options, a missing ruff, and code that is not there."""
        kinds = {"paths": TEXTS, "select": TEXTS, "ignore": TEXTS, "most": (int,)}
        return [*wrong_options(gate, kinds), *missing_program(gate, "ruff"), *_no_code(gate, command, folder)]

    def verdict(self, subject: Subject) -> Verdict:
        """Run ruff and return what it finds."""
        options, most = subject.options, int(subject.options.get("most", 0))
        files = code_files(options, subject.definition, subject.folder)
        rules = [f"--{name}={','.join(texts(options[name]))}" for name in ("select", "ignore") if name in options]
        argv = [
            program_path("ruff") or "ruff",
            "check",
            "--output-format=json",
            "--no-cache",
            "--force-exclude",
            *rules,
        ]
        code, printed = subject.program([*argv, *map(str, files)])
        if code not in (0, 1):
            raise UsageError(f"ruff ended with exit code {code}: {printed[-1000:].strip()}")
        found = json.loads(printed[printed.index("[") :])
        said = [f"{_where(item)}: {item['code']} {item['message']}" for item in found]
        return Verdict(
            holds=len(found) <= most,
            value=len(found),
            expected=f"at most {most} findings of ruff",
            message=_some(said) if len(found) > most else "",
            evidence=subject.keep(json.dumps(found, indent=1), "ruff.json"),
        )


def _where(item: dict[str, Any]) -> str:
    cell = f", cell {item['cell']}" if item.get("cell") else ""
    return f"{Path(item['filename']).name}{cell}, line {item['location']['row']}"


class ComplexityGate(Gate):
    """No function, and no cell of a notebook, has a cyclomatic complexity (McCabe) above `most` (10)."""

    name = "complexity"

    def check(self, gate: GateDefinition, command: CommandDefinition | None, *, folder: Path) -> list[Mistake]:
        """Return wrong options, and code that is not there."""
        return [*wrong_options(gate, {"paths": TEXTS, "most": (int,)}), *_no_code(gate, command, folder)]

    def verdict(self, subject: Subject) -> Verdict:
        """Measure every function and cell, and return the most complex."""
        most = int(subject.options.get("most", 10))
        files = code_files(subject.options, subject.definition, subject.folder)
        found = sorted((item for path in files for item in _measured(path)), reverse=True)
        highest = found[0][0] if found else 0
        over = [f"{place} has {number}" for number, place in found if number > most]
        table = "\n".join(f"{number}\t{place}" for number, place in found)
        return Verdict(
            holds=not over,
            value=highest,
            expected=f"a complexity of at most {most}",
            message=_some(over),
            evidence=subject.keep(table, "complexity.txt"),
        )


def _measured(path: Path) -> Iterator[tuple[int, str]]:
    if path.suffix != ".ipynb":
        yield from _functions(ast.parse(path.read_bytes()), path.name)
        return
    text, places = notebook_code(path)
    tree = ast.parse(text)
    by_cell: dict[int, list[ast.stmt]] = {}
    for statement in tree.body:
        by_cell.setdefault(places[statement.lineno - 1][0], []).append(statement)
    for cell, statements in by_cell.items():
        part = ast.Module(statements, [])
        yield 1 + _branches(part), f"{path.name}, cell {cell}"
        yield from _functions(part, f"{path.name}, cell {cell}")


def _functions(tree: ast.AST, where: str) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield 1 + sum(map(_branches, node.body)), f"{where}, {node.name}"


def _branches(node: ast.AST) -> int:
    """Return how often the way through the code forks, functions that are defined in it left out."""
    own = isinstance(node, _BRANCHES) + (len(node.values) - 1 if isinstance(node, ast.BoolOp) else 0)
    parts = (
        child
        for child in ast.iter_child_nodes(node)
        if not isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
    )
    return own + sum(map(_branches, parts))


class BanditGate(Gate):
    """Bandit finds no weakness of at least `severity` and `confidence` (low, medium, high; medium and low unless said);
    code of notebooks is looked at as well."""

    name = "bandit"

    def check(self, gate: GateDefinition, command: CommandDefinition | None, *, folder: Path) -> list[Mistake]:
        """Return wrong options, a missing bandit, and code that is not there."""
        kinds = {"paths": TEXTS, "severity": (str,), "confidence": (str,), "skip": TEXTS}
        found = [*wrong_options(gate, kinds), *missing_tools(gate, "bandit"), *_no_code(gate, command, folder)]
        found += [
            Mistake(f'"{name}" is no level', f"/options/{name}", expected=f"one of {', '.join(LEVELS)}")
            for name in ("severity", "confidence")
            if gate.options.get(name, "low") not in LEVELS
        ]
        return found

    def verdict(self, subject: Subject) -> Verdict:
        """Run bandit and return what it finds."""
        options = subject.options
        levels = [f"--severity-level={options.get('severity', 'medium')}"]
        levels.append(f"--confidence-level={options.get('confidence', 'low')}")
        levels += [f"--skip={','.join(texts(options['skip']))}"] if "skip" in options else []
        with tempfile.TemporaryDirectory(prefix="orchestrator-nb-bandit-") as text:
            files = [_as_module(path, Path(text)) for path in code_files(options, subject.definition, subject.folder)]
            report = Path(text) / "bandit.json"
            argv = [sys.executable, "-m", "bandit", "-q", "-f", "json", "-o", str(report), *levels]
            code, printed = subject.program([*argv, *map(str, files)])
            if code not in (0, 1) or not report.exists():
                raise UsageError(f"bandit ended with exit code {code}: {printed[-1000:].strip()}")
            told = json.loads(report.read_bytes())
        if told["errors"]:
            raise UsageError(f"bandit cannot read {told['errors'][0]['filename']}: {told['errors'][0]['reason']}")
        found = told["results"]
        said = [
            f"{Path(item['filename']).stem}, line {item['line_number']}: {item['test_id']} {item['issue_text']}"
            for item in found
        ]
        return Verdict(
            holds=not found,
            value=dict(Counter(item["issue_severity"].lower() for item in found)),
            expected=f"no weakness of at least {options.get('severity', 'medium')} severity",
            message=_some(said),
            evidence=subject.keep(json.dumps(told, indent=1), "bandit.json"),
        )


def _as_module(path: Path, place: Path) -> Path:
    """Return a module with the code of a notebook; any other file is itself."""
    if path.suffix != ".ipynb":
        return path
    module = place / f"{path.name}.py"
    module.write_text(notebook_code(path)[0], encoding="utf-8")
    return module


def _some(said: list[str]) -> str:
    more = f"; and {len(said) - SHOWN} more" if len(said) > SHOWN else ""
    return "; ".join(said[:SHOWN]) + more
