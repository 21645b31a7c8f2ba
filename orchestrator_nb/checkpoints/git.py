"""How git is run: plumbing commands through GitPython, in an environment of our own."""

from __future__ import annotations

import os
import shutil
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from orchestrator_nb.errors import CheckpointError

QUIET = {
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_NO_REPLACE_OBJECTS": "1",
}
"""What holds for every git that we run: it asks nobody, refreshes nobody's index, reads objects as they are."""


class Git:
    """Git with a working directory and an environment; safe to be used from several threads.

    Variables named GIT_… that this process inherited, as it does inside a hook, are not handed on: they would lead
    git to another repository.
    """

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        """Raises CheckpointError where there is no git."""
        try:
            import git
        except ImportError as error:  # GitPython looks for the program when it is imported
            raise CheckpointError(
                f"checkpoints need the program git, which cannot be run here ({error}); install it, or switch them off "
                f"with checkpoints: off"
            ) from error
        self._runner = git.Git(os.fspath(folder))
        self._environment = {**QUIET, **environment}

    def run(
        self,
        *arguments: str,
        stdin: bytes | None = None,
        fine: Collection[int] = (0,),
        environment: Mapping[str, str] | None = None,
    ) -> bytes:
        """Run a command of git to its end and return what it wrote.

        Raises CheckpointError with git's own words when its exit code is not one of those that are `fine`.
        """
        with _file_of(stdin) as source:
            status, output, errors = self._execute(
                arguments, environment, istream=source, with_extended_output=True, with_exceptions=False
            )
        if status not in fine:
            said = errors.decode(errors="replace") if isinstance(errors, bytes) else errors
            raise CheckpointError(f'"git {" ".join(arguments[:3])}" failed with {status}: {said.strip()[-800:]}')
        assert isinstance(output, bytes)
        return output

    def says(self, *arguments: str) -> list[str]:
        """Return the lines that a command of git wrote, its complaints among them, however it ended; in English."""
        _, output, errors = self._execute(arguments, {"LC_ALL": "C"}, with_extended_output=True, with_exceptions=False)
        texts = (each if isinstance(each, str) else os.fsdecode(each) for each in (errors, output))
        return [line for text in texts for line in text.splitlines()]

    @contextmanager
    def stream(self, *arguments: str, stdin: bytes) -> Iterator[BinaryIO]:
        """Run a command of git and give what it writes while it writes it."""
        with _file_of(stdin) as source:
            process = self._execute(arguments, None, istream=source, as_process=True)
            try:
                yield process.stdout
            finally:
                process.stdout.close()
                process.stderr.close()
                process.proc.terminate()
                process.proc.wait()

    def _execute(self, arguments: Sequence[str], environment: Mapping[str, str] | None, **options: Any) -> Any:
        ours = {**self._environment, **(environment or {})}
        inherited = [name for name in os.environ if name.startswith("GIT_") and name not in ours]
        command = [*_without(inherited), "git", *arguments]
        if "as_process" not in options:
            options.update(stdout_as_string=False, strip_newline_in_stdout=False)
        return self._runner.execute(command, env=ours, **options)


def _without(names: Sequence[str]) -> list[str]:
    """Return the beginning of a command line that takes variables out of the environment; GitPython only adds some."""
    if not names:
        return []
    if shutil.which("env") is None:
        raise CheckpointError(f"git cannot be run with {', '.join(names)} in the environment; unset them")
    return ["env", *(part for name in names for part in ("-u", name))]


@contextmanager
def _file_of(stdin: bytes | None) -> Iterator[BinaryIO | None]:
    """Give an open file with these bytes: git reads it at its own pace, whatever it has to write meanwhile."""
    if stdin is None:
        yield None
        return
    import tempfile

    with tempfile.TemporaryFile() as file:
        file.write(stdin)
        file.seek(0)
        yield file
