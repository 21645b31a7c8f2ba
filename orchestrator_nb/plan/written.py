"""The files that commands declare to write: where they are, and which paths belong to a pattern."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from msgspec import Struct

from orchestrator_nb.definition.models import CommandDefinition
from orchestrator_nb.errors import UsageError
from orchestrator_nb.plan.access import filled, place_of
from orchestrator_nb.plan.resources import Locator, Resource, is_named, meet


class Written(Struct, frozen=True):
    """Absolute `paths` of files and folders, and `patterns` of such."""

    paths: tuple[str, ...] = ()
    patterns: tuple[Resource, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.paths or self.patterns)

    def found(self, known: Iterable[Path] = ()) -> Iterator[str]:
        """Yield the paths, what is there for the patterns, and those of the `known` ones that the patterns fit."""
        yield from self.paths
        for pattern in self.patterns:
            yield from (os.fspath(path) for path in Path(pattern.base).glob(pattern.pattern))
        if self.patterns:
            yield from (os.fspath(path) for path in known if self.fits(path))

    def fits(self, path: Path) -> bool:
        """Tell whether the path is one of them or inside one."""
        text = path.as_posix()
        return any(text == each or text.startswith(f"{each}/") for each in self.paths) or any(
            meet(Resource(text), pattern) for pattern in self.patterns
        )


def written_by(command: CommandDefinition, *, folder: Path, parameters: Mapping[str, Any]) -> Written:
    """Return the files that a command declares to write; `folder` is the definition's, `parameters` the workflow's."""
    return located(command.writes, place=place_of(command, folder), parameters=parameters)


def located(texts: Iterable[str], *, place: str, parameters: Mapping[str, Any]) -> Written:
    """Return where the files are that these texts name in a folder; named resources, and what cannot be read, are none."""
    paths: list[str] = []
    patterns: list[Resource] = []
    for text in texts:
        try:
            full = filled(text, parameters)
        except UsageError:
            continue
        if is_named(full):
            continue
        resource = Locator().resource(full, folder=place)
        if resource.pattern:
            patterns.append(resource)
        else:
            # As it was said, not where a symbolic link leads: the link itself is what is written.
            paths.append(os.path.normpath(os.path.join(place, os.path.expanduser(full))).replace(os.sep, "/"))
    return Written(tuple(dict.fromkeys(paths)), tuple(dict.fromkeys(patterns)))
