"""What the commands of a workflow do with resources: who waits for whom, and who is in whose way."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from orchestrator_nb.definition.models import CommandDefinition
from orchestrator_nb.definition.names import nearest
from orchestrator_nb.definition.references import Reference, resolve
from orchestrator_nb.errors import Mistake, UsageError
from orchestrator_nb.plan.resources import Locator, Resource, Shelf

_EXPLAINED = 20
"""For so many missing files a likely name is looked for; it costs a look at all names."""


class Use(NamedTuple):
    """One entry of the reads or writes of a command: the command's number, the entry's number, and its text."""

    command: int
    item: int
    text: str


class Access:
    """All reads and writes of a workflow; `mistakes` holds, with its command, each entry that could not be read.

    `folder` is the definition's; references to the workflow's `parameters` are filled in.
    """

    def __init__(self, commands: Sequence[CommandDefinition], *, folder: Path, parameters: Mapping[str, Any]) -> None:
        self.mistakes: list[tuple[int, Mistake]] = []
        self._commands = commands
        self._parameters = parameters
        self._reads: dict[Resource, list[Use]] = defaultdict(list)
        self._writes: dict[Resource, list[Use]] = defaultdict(list)
        locator = Locator()
        for number, command in enumerate(commands):
            if command.reads or command.writes:
                place = place_of(command, folder)
                for field, uses in (("reads", self._reads), ("writes", self._writes)):
                    for item, text in self._texts(number, field):
                        uses[locator.resource(text, folder=place)].append(Use(number, item, text))
        self._written = Shelf(self._writes)
        self._met = {resource: tuple(self._written.meeting(resource)) for resource in self._reads}

    def edges(self) -> Iterator[tuple[int, int, str]]:
        """Yield writer, reader and reason for every read of what another command writes.

        Two that both write a resource are not ordered by the reads of either: they have to be ordered as writers.
        """
        for resource, readers in self._reads.items():
            writers = [use for written in self._met[resource] for use in self._writes[written]]
            if not writers:
                continue
            reading, writing = {use.command for use in readers}, {use.command for use in writers}
            for reader in readers:
                for writer in writers:
                    rivals = writer.command in reading and reader.command in writing
                    if reader.command != writer.command and not rivals:
                        yield writer.command, reader.command, self._reason(reader, writer)

    def rivals(self) -> Iterator[list[Use]]:
        """Yield the writers of each resource that has several, and each pair whose resources overlap."""
        for resource, uses in self._writes.items():
            if len({use.command for use in uses}) > 1:
                yield sorted({use.command: use for use in uses}.values())
            for other in self._written.meeting(resource):
                if resource < other:
                    yield from (
                        sorted((one, two)) for one in uses for two in self._writes[other] if one.command != two.command
                    )

    def missing(self, *, settled: Collection[int]) -> Iterator[tuple[int, Mistake]]:
        """Yield command and mistake for every file that is read, is not there, and that no command writes."""
        explained = 0
        for resource, uses in self._reads.items():
            readers = [use for use in uses if use.command not in settled]
            path = None if self._met[resource] else resource.path
            if not readers or path is None or path.exists():
                continue
            explained += 1
            likely = self._likely(path, readers[0].text) if explained <= _EXPLAINED else None
            for use in readers:
                yield (
                    use.command,
                    Mistake(
                        f'"{use.text}" is read, but it is not there and no command writes it',
                        path=f"/reads/{use.item}",
                        expected=f'the file "{path}", or a command with it in its writes',
                        nearest=likely,
                    ),
                )

    def _texts(self, number: int, field: str) -> Iterator[tuple[int, str]]:
        for item, text in enumerate(getattr(self._commands[number], field)):
            try:
                full = filled(text, self._parameters)
            except UsageError as error:
                self.mistakes.append((number, Mistake(str(error), path=f"/{field}/{item}")))
            else:
                yield item, full

    def _reason(self, reader: Use, writer: Use) -> str:
        name = self._commands[writer.command].id
        if reader.text == writer.text:
            return f'reads "{reader.text}", which "{name}" writes'
        return f'reads "{reader.text}", and "{name}" writes "{writer.text}"'

    def _likely(self, path: Path, text: str) -> str | None:
        """Return what may have been meant: something that is written, or a file beside the missing one."""
        names = {use.text for uses in self._writes.values() for use in uses}
        before = text.removesuffix(path.name)
        with suppress(OSError):
            names.update(f"{before}{name}" for name in os.listdir(path.parent))
        return nearest(text, names)


def place_of(command: CommandDefinition, folder: Path) -> str:
    """Return the folder that the paths of a command are relative to: where its code runs."""
    if command.cwd is not None:
        return str(folder / command.cwd)
    return str((folder / command.notebook).parent if command.notebook is not None else folder)


def filled(text: str, parameters: Mapping[str, Any]) -> str:
    """Return the text with its references to parameters filled in. Raises UsageError."""

    def value_of(reference: Reference) -> Any:
        if reference.root != "parameters":
            raise UsageError(
                f'"{reference.text}" is not known before the run; reads and writes may refer to parameters only'
            )
        found: Any = parameters
        for key in reference.keys:
            if not isinstance(found, Mapping) or key not in found:
                raise UsageError(f'"{reference.text}" names no parameter of the workflow')
            found = found[key]
        return os.fspath(found) if isinstance(found, os.PathLike) else found

    full = resolve(text, value_of) if "${{" in text else text
    if type(full) not in (str, int) or full == "":
        raise UsageError(f'"{text}" is {full!r}; expected the name of a file or of a resource')
    return str(full)
