"""A report as a notebook: cells that make its figures again from the store, run by papermill."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from orchestrator_nb.analytics.figures.figure import Figure
from orchestrator_nb.analytics.page import Part, Table
from orchestrator_nb.analytics.summary import markdown_table

KERNEL = "python3"
QUIET = ["--log-level=ERROR"]
"""What the kernel is started with: its warnings about itself are not about the report."""

BEGIN = """\
from orchestrator_nb.analytics.reports import report

made = report(kind, run, store=store)
made.title"""


def write_notebook(
    path: Path, title: str, lead: str, parts: Sequence[Part], *, kind: str, run: str, store: Path, kernel: str = KERNEL
) -> None:
    """Write a report, which consists of these parts, as a notebook that has been run.

    Raises what papermill raises where its kernel cannot run it.
    """
    import nbformat
    import papermill

    new: Any = nbformat.v4
    cells = [
        new.new_markdown_cell(f"# {title}\n\n{lead}"),
        new.new_code_cell(f"kind = {kind!r}\nrun = {run!r}\nstore = {str(store)!r}", metadata={"tags": ["parameters"]}),
        new.new_code_cell(BEGIN),
    ]
    for part in parts:
        if isinstance(part, Figure):
            cells.append(new.new_markdown_cell(f"## {part.title}"))
            cells.append(new.new_code_cell(f"made[{part.name!r}]"))
            continue
        told = (
            part.paragraphs
            if not isinstance(part, Table)
            else ["\n".join(markdown_table(part.columns, part.rows)), part.text]
        )
        cells.append(new.new_markdown_cell("\n\n".join([f"## {part.title}", *told])))
    notebook = new.new_notebook(cells=cells)
    notebook.metadata["kernelspec"] = {"name": kernel, "display_name": kernel, "language": "python"}
    with tempfile.TemporaryDirectory() as place:
        source = Path(place, "report.ipynb")
        source.write_text(nbformat.writes(notebook), encoding="utf-8", errors="backslashreplace")  # type: ignore[no-untyped-call]
        fresh = path.with_name(f".{path.stem}.{os.getpid()}.ipynb")
        papermill.execute_notebook(
            str(source),
            str(fresh),
            kernel_name=kernel,
            progress_bar=False,
            extra_arguments=QUIET,
        )
        os.replace(fresh, path)
