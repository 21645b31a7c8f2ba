"""What is wrong with the gates of a plan, before anything runs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from orchestrator_nb.definition.models import CommandDefinition, GateDefinition
from orchestrator_nb.definition.names import nearest
from orchestrator_nb.errors import Mistake, UsageError
from orchestrator_nb.quality.expressions import parsed, wrong_in
from orchestrator_nb.quality.registry import gate_of, is_expression, names


def mistakes_of(
    gates: Sequence[GateDefinition],
    command: CommandDefinition | None,
    *,
    at: str,
    folder: Path,
    functions: Mapping[str, Callable[..., Any]],
) -> Iterator[Mistake]:
    """Yield every mistake of the gates of a command, or of those that are required of the run; `at` is the path of
    the list of them."""
    known: dict[str, int] = {}
    for place, gate in enumerate(gates):
        pointer = f"{at}/{place}"
        first = known.setdefault(gate.title, place)
        if first != place:
            yield Mistake(f'two gates are called "{gate.title}"', pointer, expected="a `name` of its own for each")
        found = _mistakes(gate, command, folder, functions)
        yield from (replace(mistake, path=f"{pointer}{mistake.path}") for mistake in found)


def _mistakes(
    gate: GateDefinition, command: CommandDefinition | None, folder: Path, functions: Mapping[str, Callable[..., Any]]
) -> list[Mistake]:
    if is_expression(gate):
        wrong = wrong_in(gate.gate)
        if wrong is not None or _is_word(gate.gate):
            wrong = wrong or f'there is no check "{gate.gate}"'
            expected = f"an expression such as rmse < 3.5, module:function, or one of {', '.join(names())}"
            return [Mistake(wrong, "/gate", expected=expected, nearest=nearest(gate.gate, names()))]
        if gate.options:
            return [Mistake("an expression takes no options", "/options", expected="none")]
        return []
    try:
        return gate_of(gate, functions).check(gate, command, folder=folder)
    except UsageError as error:
        return [Mistake(str(error), "/gate")]
    except Exception as error:  # noqa: BLE001 - a gate may come from anywhere
        return [Mistake(f'the gate "{gate.gate}" could not check its use: {type(error).__name__}: {error}', "/gate")]


def _is_word(text: str) -> bool:
    """Whether an expression is a single word near to the name of a check: it was hardly meant to be looked up."""
    looked_up = parsed(text).names
    return len(looked_up) == 1 and looked_up[0].text == text.strip() and nearest(text, names()) is not None
