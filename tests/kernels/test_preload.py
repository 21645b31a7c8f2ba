"""What may be imported before a fork."""

from __future__ import annotations

import subprocess
import sys

import pytest

from orchestrator_nb.kernels.preload import fit

TRY = """
import sys
sys.path.insert(0, {place!r})
from orchestrator_nb.kernels.preload import UnfitModule, preload
sys.path[0] = {packages!r}
import site
site.getsitepackages = lambda: [{packages!r}]
try:
    done = preload(["trial"])
except UnfitModule as unfit:
    print(unfit.module, "|", unfit)
else:
    print("fit", done.variables)
"""


@pytest.fixture
def preloaded(tmp_path):
    """Return a function that tells what comes of preloading a package with this code."""

    def run(code, project=None):
        packages, place = tmp_path / "site-packages", tmp_path / "out.txt"
        packages.mkdir()
        packages.joinpath("trial.py").write_text(code)
        here = fit.__globals__["__file__"].removesuffix("orchestrator_nb/kernels/preload.py")
        with place.open("w+b") as file:
            program = TRY.format(place=here, packages=str(packages))
            subprocess.run([sys.executable, "-c", program], stdout=file, stderr=file, check=True, timeout=30)
            file.seek(0)
            return file.read().decode().splitlines()[-1]

    return run


def test_only_installed_packages_are_fit():
    """Packages from site-packages are fit; the standard library, our own package, what is missing and what is known to
    break are not."""
    assert fit(iter(["numpy"])) == ("numpy",)
    assert fit(["numpy", "numpy.linalg", "json", "orchestrator_nb", "no_such_thing", "torch"]) == (
        "numpy",
        "numpy.linalg",
    )


@pytest.mark.parametrize(
    ("code", "why"),
    [
        ("import threading; threading.Thread(target=threading.Event().wait, daemon=True, name='poller').start()",
         'trial | "trial" started the thread "poller" while it was imported'),
        ("import socket; kept = socket.socket()", 'trial | "trial" opened socket:'),
        ("print('hello')", 'trial | "trial" printed or warned while it was imported'),
        ("import warnings; warnings.warn('old')", 'trial | "trial" printed or warned while it was imported'),
        ("import os; os.environ['SET_BY_TRIAL'] = '1'", "fit {'SET_BY_TRIAL': '1'}"),
        ("raise RuntimeError('broken')", "fit {}"),
        ("raise SystemExit", "fit {}"),
    ],
)  # fmt: skip
def test_what_an_import_may_not_do(preloaded, code, why):
    """Threads, open files and output make a module unfit; variables are kept, and a failure is the notebook's to see."""
    assert preloaded(code).startswith(why)


def test_a_package_that_brings_in_a_project_is_unfit(preloaded, tmp_path):
    """A package that imports an editable module would keep an old version of it."""
    project = tmp_path / "project"
    project.mkdir()
    project.joinpath("mine.py").write_text("")
    said = preloaded(f"import sys; sys.path.append({str(project)!r}); import mine")
    assert said.startswith('trial | "trial" brought in "mine"')
