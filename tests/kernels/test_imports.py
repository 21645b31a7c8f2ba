"""What code imports, found by reading it."""

from __future__ import annotations

import pytest

from orchestrator_nb.kernels.imports import imported


@pytest.mark.parametrize(
    ("cell", "names"),
    [
        ("import numpy as np, pandas", {"numpy", "pandas"}),
        ("import matplotlib.pyplot as plt", {"matplotlib.pyplot"}),
        ("from sklearn import svm", {"sklearn", "sklearn.svm"}),
        ("try:\n    import polars\nexcept ImportError:\n    import pandas", {"polars", "pandas"}),
        ("%matplotlib inline\nimport numpy\n!ls", {"numpy"}),
        ("%%time\nimport numpy", {"numpy"}),
        ("%%bash\nimport numpy", set()),
        ("files = !ls\nimport numpy", {"numpy"}),
        ("def f():\n    import torch", set()),
        ("from . import near\nfrom .far import x", set()),
        ("this is no Python", set()),
    ],
)
def test_names_in_a_cell(cell, names):
    """What a cell imports when it is run is found, whatever else of IPython's is in it."""
    assert set(imported([cell])) == names


def test_modules_of_the_project_are_read_on(tmp_path):
    """What a project's module imports is found, in packages as well and without running in circles."""
    tmp_path.joinpath("steps.py").write_text("import tools.load, numpy\n")
    tools = tmp_path / "tools"
    tools.mkdir()
    tools.joinpath("__init__.py").write_text("import steps\n")
    tools.joinpath("load.py").write_text("import pandas\n")
    assert {"numpy", "pandas"} <= set(imported(["import steps"], [tmp_path]))
    assert set(imported(["import steps"])) == {"steps"}
