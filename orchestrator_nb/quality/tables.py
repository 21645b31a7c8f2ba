"""A gate on a table: pandera holds it against a schema, and every row that does not fit is kept as evidence."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from orchestrator_nb.commands.importing import CannotImport, find
from orchestrator_nb.definition.models import CommandDefinition, GateDefinition
from orchestrator_nb.errors import Mistake, UsageError
from orchestrator_nb.ports import Gate, Subject, Verdict
from orchestrator_nb.quality.use import missing_tools, wrong_options


class PanderaGate(Gate):
    """A table fits its schema: `schema` is module:name of a pandera schema or model, or a YAML file that pandera wrote;
    or `columns` names the columns with their types. `table` is its name in expressions (result)."""

    name = "pandera"

    def check(
        self,
        gate: GateDefinition,
        command: CommandDefinition | None,  # noqa: ARG002 - the contract
        *,
        folder: Path,
    ) -> list[Mistake]:
        """Return wrong options, a missing pandera, and a schema that cannot be had."""
        options = gate.options
        found = wrong_options(gate, {"schema": (str,), "columns": (dict, list), "table": (str,)})
        found += missing_tools(gate, "pandera")
        if ("schema" in options) == ("columns" in options):
            found.append(
                Mistake("it is not said what the table has to be", "/options", expected="`schema` or `columns`")
            )
        if not found:
            try:
                schema_of(options, folder)
            except CannotImport as error:
                found.append(error.at("/options/schema"))
            except Exception as error:  # noqa: BLE001 - pandera says what it has against it
                found.append(Mistake(f"there is no schema in it: {error}", "/options/schema"))
        return found

    def verdict(self, subject: Subject) -> Verdict:
        """Hold the whole table against the schema and return what does not fit."""
        import pandera.errors

        name = subject.options.get("table", "result")
        table = subject.value(name)
        if not hasattr(table, "columns"):
            raise UsageError(f'"{name}" is no table; found {type(table).__name__}; expected the name of one as `table`')
        schema = schema_of(subject.options, subject.folder)
        try:
            schema.validate(table, lazy=True)
        except pandera.errors.SchemaErrors as error:
            cases = error.failure_cases
            checks = sorted({f"{row.column or 'the table'}: {row.check}" for row in cases.itertuples()})
            return Verdict(
                holds=False,
                value={"rows": len(table), "failures": len(cases)},
                expected=f"{name} fits its schema",
                message="; ".join(checks[:5]) + (f"; and {len(checks) - 5} more" if len(checks) > 5 else ""),
                evidence=subject.keep(cases.to_csv(index=False), "failure_cases.csv"),
            )
        return Verdict(holds=True, value={"rows": len(table), "failures": 0}, expected=f"{name} fits its schema")


def schema_of(options: Any, folder: Path) -> Any:
    """Return the schema that the options name. Raises CannotImport, and whatever pandera has against it."""
    import pandera.pandas

    if "columns" in options:
        columns = options["columns"]
        typed = columns if isinstance(columns, dict) else dict.fromkeys(columns)
        return pandera.pandas.DataFrameSchema({name: pandera.pandas.Column(kind) for name, kind in typed.items()})
    text = options["schema"]
    if text.endswith((".yaml", ".yml")):
        return pandera.pandas.DataFrameSchema.from_yaml(folder / text)
    found = find(text, folder=folder)
    if not hasattr(found, "validate"):
        raise UsageError(f'"{text}" is no schema of pandera; found {found!r}')
    return found
