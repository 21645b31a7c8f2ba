"""What the commands of a workflow do with resources: who waits for whom, and who is in whose way."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from orchestrator_nb.definition.models import CommandDefinition
from orchestrator_nb.definition.names import nearest
from orchestrator_nb.errors import Mistake
from orchestrator_nb.plan.resources import Locator, Resource, Shelf

_EXPLAINED = 20
"""For so many missing files a likely name is looked for; it costs a look at all names."""


class Use(NamedTuple):
    """One entry of the reads or writes of a command: the command's number, the entry's number, and its text."""

    command: int
    item: int
    text: str


class Access:
    """All reads and writes of a workflow. Texts have to be free of references; `folder` is the definition's."""

    def __init__(self, commands: Sequence[CommandDefinition], *, folder: Path) -> None:
        self._commands = commands
        self._reads: dict[Resource, list[Use]] = defaultdict(list)
        self._writes: dict[Resource, list[Use]] = defaultdict(list)
        locator = Locator()
        for number, command in enumerate(commands):
            if not (command.reads or command.writes):
                continue
            place = _folder(command, folder)
            for texts, uses in ((command.reads, self._reads), (command.writes, self._writes)):
                for item, text in enumerate(texts):
                    uses[locator.resource(text, folder=place)].append(Use(number, item, text))
        self._written = Shelf(self._writes)

    def edges(self) -> Iterator[tuple[int, int, str]]:
        """Yield writer, reader and reason for every read of what another command writes.

        Two that both write a resource are not ordered by the reads of either: they have to be ordered as writers.
        """
        for resource, readers in self._reads.items():
            writers = [use for written in self._written.meeting(resource) for use in self._writes[written]]
            if not writers:
                continue
            writing = {use.command for use in writers}
            for reader in readers:
                for writer in writers:
                    if reader.command != writer.command and not self._both_write(reader, writer, writing):
                        yield writer.command, reader.command, self._reason(reader, writer)

    def rivals(self) -> Iterator[list[Use]]:
        """Yield the writers of each resource that has several, and each pair whose resources overlap."""
        for resource, uses in self._writes.items():
            if len({use.command for use in uses}) > 1:
                yield list({use.command: use for use in reversed(uses)}.values())[::-1]
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
            path = resource.path
            if not readers or path is None or path.exists() or any(self._written.meeting(resource)):
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

    def idle(self) -> Iterator[tuple[int, str]]:
        """Yield command and text of every pattern of paths that matches nothing so far and that no command writes."""
        for resource, uses in self._reads.items():
            if resource.pattern and not any(self._written.meeting(resource)):
                found = next(Path(resource.base).glob(resource.pattern), None)
                if found is None:
                    yield from ((use.command, use.text) for use in uses)

    def _both_write(self, reader: Use, writer: Use, writing: Collection[int]) -> bool:
        return reader.command in writing and self._reads_own(writer)

    def _reads_own(self, writer: Use) -> bool:
        return any(writer.text == text for text in self._commands[writer.command].reads)

    def _reason(self, reader: Use, writer: Use) -> str:
        name = self._commands[writer.command].id
        if reader.text == writer.text:
            return f'reads "{reader.text}", which "{name}" writes'
        return f'reads "{reader.text}", and "{name}" writes "{writer.text}"'

    def _likely(self, path: Path, text: str) -> str | None:
        """Return what may have been meant: something that is written, or a file beside the missing one."""
        written = nearest(text, {use.text for uses in self._writes.values() for use in uses})
        if written is not None:
            return written
        try:
            beside = nearest(path.name, os.listdir(path.parent))  # noqa: PTH208 — names are all that is wanted
        except OSError:
            return None
        return beside and f"{text.removesuffix(path.name)}{beside}"


def _folder(command: CommandDefinition, folder: Path) -> Path:
    """Return the folder that the paths of a command are relative to: where its code runs."""
    if command.cwd is not None:
        return folder / command.cwd
    return (folder / command.notebook).parent if command.notebook is not None else folder
