"""Functions named as ``module:function``: found beside the definition first, with what is wrong said as a mistake."""

from __future__ import annotations

import importlib
import re
import sys
import threading
from contextlib import suppress
from importlib.machinery import PathFinder
from importlib.util import cache_from_source
from pathlib import Path
from types import ModuleType
from typing import Any

from msgspec.structs import replace

from orchestrator_nb.definition.names import nearest
from orchestrator_nb.errors import Mistake

_REFERENCE = r"[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*(\.[^\W\d]\w*)*"

_lock = threading.Lock()
_versions: dict[str, tuple[int, int]] = {}
"""Which state of its file a module of a definition's folder was loaded from: time of change and size."""


class CannotImport(Exception):
    """What was named cannot be had; `mistake` says why, without a path in the document."""

    def __init__(self, mistake: Mistake) -> None:
        self.mistake = mistake
        super().__init__(str(mistake))

    def at(self, path: str) -> Mistake:
        """Return the mistake with its place in the command."""
        return replace(self.mistake, path=path)

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.mistake,)


def find(reference: str, *, folder: Path, fresh: bool = False) -> Any:
    """Return what ``module:name`` or ``module:name.name`` stands for; `folder` comes first on `sys.path` from now on.

    With `fresh`, a module of the folder whose file has changed since is loaded again. Raises CannotImport.
    """
    if not re.fullmatch(_REFERENCE, reference):
        mistake = Mistake("this does not name a function", found=f'"{reference}"', expected="module:function")
        raise CannotImport(mistake)
    module_name, _, attribute = reference.partition(":")
    found: Any = load_module(module_name, folder=folder, fresh=fresh)
    way = module_name
    for name in attribute.split("."):
        try:
            found = getattr(found, name)
        except AttributeError:
            there = [other for other in dir(found) if not other.startswith("_")]
            text = f'"{way}" has no "{name}"'
            raise CannotImport(Mistake(text, found=f'"{reference}"', nearest=nearest(name, there))) from None
        way = f"{way}.{name}"
    return found


def load_module(name: str, *, folder: Path, fresh: bool = False) -> ModuleType:
    """Return the module, imported with `folder` first on `sys.path`; see `find`. Raises CannotImport."""
    put_first(folder)
    with _lock:  # or two threads would load a changed module twice
        loaded = sys.modules.get(name)
        try:
            if loaded is None:
                importlib.invalidate_caches()
                loaded = importlib.import_module(name)
            elif fresh and _has_changed(loaded, name):
                _forget_compiled(loaded)
                loaded = importlib.reload(loaded)
        except (Exception, SystemExit) as error:
            raise CannotImport(_why(name, error, folder)) from error
        _check_place(name, folder)
        version = _version(loaded, folder)
        if version is not None:
            _versions.setdefault(name, version)
            if fresh:
                _versions[name] = version
    return loaded


def put_first(folder: Path) -> None:
    """Put the folder first on `sys.path`."""
    text = str(folder.absolute())
    if not sys.path or sys.path[0] != text:
        sys.path[:] = [text, *(entry for entry in sys.path if entry != text)]


def _has_changed(module: ModuleType, name: str) -> bool:
    before = _versions.get(name)
    file = getattr(module, "__file__", None)
    return before is not None and file is not None and _stat(file) not in (before, None)


def _forget_compiled(module: ModuleType) -> None:
    """Remove the compiled form of a module: Python takes it for current where the source has the same size and was
    changed within the same second."""
    with suppress(OSError, ValueError, NotImplementedError):
        Path(cache_from_source(module.__file__ or "")).unlink()


def _version(module: ModuleType, folder: Path) -> tuple[int, int] | None:
    """Return the state of the module's file, None where it is not the definition's."""
    file = getattr(module, "__file__", None)
    if file is None or not Path(file).resolve().is_relative_to(folder.resolve()) or "site-packages" in file:
        return None
    return _stat(file)


def _stat(file: str) -> tuple[int, int] | None:
    try:
        found = Path(file).stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size


def _check_place(name: str, folder: Path) -> None:
    """Raise CannotImport where this process has another module of that name than the one beside the definition."""
    top = name.partition(".")[0]
    spec = PathFinder.find_spec(top, [str(folder.absolute())])
    have = getattr(sys.modules.get(top), "__file__", None)
    if spec is None or spec.origin is None or not spec.has_location or have is None:
        return
    if Path(spec.origin).resolve() != Path(have).resolve():
        text = f'this process has loaded another module "{top}" than the one beside the definition'
        mistake = Mistake(text, found=f'"{have}"', expected=f'"{spec.origin}": rename it, or start a new process')
        raise CannotImport(mistake)


def _why(name: str, error: BaseException, folder: Path) -> Mistake:
    if isinstance(error, ModuleNotFoundError) and error.name and f"{name}.".startswith(f"{error.name}."):
        here = [path.stem for path in folder.glob("*.py")] + [path.parent.name for path in folder.glob("*/__init__.py")]
        text = f'there is no module "{error.name}", neither in "{folder}" nor installed'
        return Mistake(text, nearest=nearest(name, here))
    import traceback

    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if "importlib" not in frame.filename]
    place = f" ({frames[-1].filename}:{frames[-1].lineno})" if len(frames) > 1 else ""
    what = "exits" if isinstance(error, SystemExit) else "raises an error"
    return Mistake(f'the module "{name}" {what} when it is imported', found=f"{type(error).__name__}: {error}{place}")
