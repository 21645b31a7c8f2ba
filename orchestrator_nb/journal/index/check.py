"""Whether the index says what the journals say: a run's rows beside those that are made of its journal anew."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, select

from orchestrator_nb.data.finding import Finding
from orchestrator_nb.errors import StoreError
from orchestrator_nb.journal.index import schema
from orchestrator_nb.journal.index.index import FILE, Index

_AGAIN = "delete the file: it is made anew of the journals when somebody looks at history"
_OWN = frozenset({"key", "run_key"})
_TABLES = (schema.runs, *(table for table in schema.OF_A_RUN if table is not schema.positions))


def check_index(store: Path, run: str) -> Iterator[Finding]:
    """Yield a finding for each table in which the rows of a run are not those of its journal; nothing is changed but
    that the index is brought up to date. An index that is not there says nothing wrong."""
    path = store / FILE
    if not path.exists():
        return
    there, anew = Index(store), Index(store, anew=True)
    try:
        found = there.look(lambda connection: _rows(connection, run))
        if there.note is not None:
            yield Finding(place=str(path), what=there.note, repair=_AGAIN)
            return
        right = anew.look(lambda connection: _rows(connection, run))
    except StoreError as error:
        yield Finding(place=str(path), what=str(error), repair=_AGAIN)
        return
    finally:
        there.close()
        anew.close()
    for name, rows in right.items():
        wrong = [row for row in found[name] if row not in rows]
        missing = [row for row in rows if row not in found[name]]
        if wrong or missing:
            what = f'the table "{name}" does not say of "{run}" what its journal says: {_difference(wrong, missing)}'
            yield Finding(place=str(path), what=what, repair=_AGAIN)


def _rows(connection: Connection, run: str) -> dict[str, list[dict[str, Any]]]:
    """Return the rows of a run by table, without the numbers that an index gives."""
    key = connection.execute(select(schema.runs.c.key).where(schema.runs.c.run == run)).scalar()
    found = {}
    for table in _TABLES:
        of_run = table.c.key if table is schema.runs else table.c.run_key
        rows = connection.execute(select(table).where(of_run == key)).mappings()
        found[table.name] = [{name: value for name, value in row.items() if name not in _OWN} for row in rows]
    return found


def _difference(wrong: list[dict[str, Any]], missing: list[dict[str, Any]]) -> str:
    if wrong and missing:
        names = [name for name in wrong[0] if wrong[0][name] != missing[0].get(name)]
        return f"{', '.join(names[:3])} of {len(wrong)} rows differ" if names else f"{len(wrong)} rows differ"
    return f"{len(missing)} rows are missing" if missing else f"{len(wrong)} rows too many"
