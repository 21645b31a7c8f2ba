"""How runs are shown in a session: a failure in one line, rows as a table of HTML."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from orchestrator_nb.errors import CommandError
from orchestrator_nb.events import Failure

_OWN = f"{CommandError.__module__}.{CommandError.__qualname__}"


def exception_name(failure: Failure) -> str:
    """Return the name of the exception's class; nothing where there was none, or only ours for what is no exception."""
    return "" if not failure.types or failure.types[0] == _OWN else failure.types[0].rpartition(".")[2]


def headline(failure: Failure) -> str:
    """Return a failure in one line: the name of its exception, or its kind, and the first line of its message."""
    name = exception_name(failure) or failure.kind
    first = failure.message.strip().splitlines()[0] if failure.message.strip() else ""
    return f"{name}: {first}" if first and not first.startswith(name) else first or name


def html_table(lead: str, columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> str:
    """Return a paragraph with a table below it; every text is escaped."""
    from html import escape

    head = "".join(f"<th>{escape(name)}</th>" for name in columns)
    body = "".join("<tr>" + "".join(f"<td>{escape(str(row[name]))}</td>" for name in columns) + "</tr>" for row in rows)
    return f"<p>{escape(lead)}</p><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def listed(names: Sequence[str], most: int) -> str:
    """Return the first `most` names in one line, and how many there are besides."""
    more = f" and {len(names) - most:,} more" if len(names) > most else ""
    return f"{', '.join(names[:most])}{more}"
