"""Where a project's checkpoints are kept, and which folder they are checkpoints of."""

from __future__ import annotations

import hashlib
import os
import re
from pathlib import Path

from msgspec import Struct

from orchestrator_nb.checkpoints.git import Git
from orchestrator_nb.errors import CheckpointError

OLDEST = 2, 31
"""The first version of git that can be asked for absolute paths."""

ASKED = ("core.symlinks", "core.ignorecase", "core.precomposeunicode", "core.excludesfile")
"""What of the user's configuration decides about how files look and which are ignored.

Not `core.filemode`: the permission to execute is kept as it is on disk, since it is compared with the disk later.
"""


class Place(Struct, frozen=True):
    """The work tree `root`, the private bare repository `folder`, and the repository of the user, if there is one.

    `git_folder` is where the user's HEAD is, `common_folder` what all work trees of the repository share; `settings`
    are those of `ASKED` that the user has, `runs` is the store of the runs.
    """

    root: Path
    folder: Path
    runs: Path
    git_folder: Path | None = None
    common_folder: Path | None = None
    settings: tuple[tuple[str, str], ...] = ()

    def user_git(self) -> Git:
        """Return git as the user's own repository sees it, for questions only."""
        return _asking(self.root)


def find_place(project: Path, *, runs: Path) -> Place:
    """Return where the checkpoints of the project in this folder are, whether or not there are any.

    With a repository it is inside the folder that all its work trees share, so that no cleaning of the work tree
    reaches it; without one, with one whose work tree is elsewhere, or where that cannot be written, it is inside the
    store of the runs. Raises CheckpointError for the root of the file system, the home folder and what it lies in,
    and a repository's own folder, which are no projects.
    """
    start = project.resolve()
    git = _asking(start)
    told = git.run(
        "rev-parse", "--path-format=absolute", "--show-toplevel", "--git-dir", "--git-common-dir", fine=(0, 128)
    )
    lines = os.fsdecode(told).splitlines()
    root = Path(lines[0]).resolve() if len(lines) == 3 else start
    if len(lines) != 3:
        _check_version(git)
        _check_outside(git, start)
    if len(lines) != 3 or _too_wide(root) or not _holds(root, start):
        if _too_wide(start):
            raise CheckpointError(
                f'"{start}" is too wide for checkpoints: it holds more than a project; put the workflow into a folder '
                f"of its own, or switch them off with checkpoints: off"
            )
        return Place(root=start, folder=_inside(runs / "checkpoints", start), runs=runs)
    common = Path(lines[2])
    writable = os.access(common, os.W_OK)
    return Place(
        root=root,
        folder=_inside(common / "orchestrator-nb" if writable else runs / "checkpoints", root),
        runs=runs,
        git_folder=Path(lines[1]),
        common_folder=common,
        settings=_settings(git),
    )


def _check_version(git: Git) -> None:
    """Raise CheckpointError for a git that does not know what it is asked; one that is new enough has been told apart."""
    told = git.run("version").decode(errors="replace").strip()
    found = re.search(r"(\d+)\.(\d+)", told)
    if found is not None and (int(found[1]), int(found[2])) < OLDEST:
        raise CheckpointError(
            f'checkpoints need git {OLDEST[0]}.{OLDEST[1]} or newer, and the one here says "{told}": install a newer one, '
            f"or switch them off with checkpoints: off"
        )


def _check_outside(git: Git, folder: Path) -> None:
    """Raise CheckpointError inside of a repository's own folder: going back would take its history back."""
    told = git.run("rev-parse", "--is-inside-git-dir", "--is-bare-repository", fine=(0, 128))
    if b"true" in told:
        raise CheckpointError(
            f'"{folder}" belongs to a bare git repository or is inside a ".git" folder, and has no work tree: put the '
            f"workflow into a clone or a work tree of it, or switch checkpoints off with checkpoints: off"
        )


def _holds(root: Path, folder: Path) -> bool:
    """Whether the folder is in the work tree; `core.worktree` may name another place."""
    return root.exists() and any(os.path.samefile(root, each) for each in (folder, *folder.parents))


def _asking(folder: Path) -> Git:
    # Questions to a repository of somebody else run none of its programs: no hooks, no file system monitor.
    given = (("safe.directory", "*"), ("core.fsmonitor", "false"), ("core.hooksPath", os.devnull))
    return Git(folder, configuration(given))


def configuration(settings: tuple[tuple[str, str], ...]) -> dict[str, str]:
    """Return the environment variables that give git these settings, above those of every file."""
    variables = {"GIT_CONFIG_COUNT": str(len(settings))}
    for number, (name, value) in enumerate(settings):
        variables[f"GIT_CONFIG_KEY_{number}"] = name
        variables[f"GIT_CONFIG_VALUE_{number}"] = value
    return variables


def _settings(git: Git) -> tuple[tuple[str, str], ...]:
    pattern = f"^({'|'.join(ASKED)})$".replace(".", r"\.")
    told = os.fsdecode(git.run("config", "-z", "--get-regexp", pattern, fine=(0, 1)))
    found = dict(item.partition("\n")[::2] for item in told.split("\0") if item)
    if "core.excludesfile" in found:
        found["core.excludesfile"] = os.path.expanduser(found["core.excludesfile"])
    return tuple(found.items())


def _inside(folder: Path, root: Path) -> Path:
    """Return the repository of this work tree: each has its own, since they hold different files."""
    name = hashlib.sha256(os.fsencode(root)).hexdigest()[:12]
    return folder / f"{name}.git"


def _too_wide(folder: Path) -> bool:
    home = Path.home().resolve()
    return folder == home or folder in home.parents or folder == Path(folder.anchor)
