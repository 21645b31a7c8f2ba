"""The steps of the pipeline that are plain functions: an argument named like a command is that command's result."""

from __future__ import annotations

from typing import Any

import pandas as pd
from model import fit, left_out_residuals, rmse


def baseline(clean: dict[str, Any]) -> dict[str, Any]:
    """Fit one model to all species together; return its table and how well it does on each species."""
    penguins = clean["penguins"]
    residuals = pd.Series(left_out_residuals(penguins), index=penguins.index)
    by_species = {str(name): rmse(part.to_numpy()) for name, part in residuals.groupby(penguins["species"])}
    return {"coefficients": fit(penguins), "rmse": by_species}


def compare(
    baseline: dict[str, Any], adelie: dict[str, Any], chinstrap: dict[str, Any], gentoo: dict[str, Any]
) -> pd.DataFrame:
    """Put each species' own model beside the one for all; errors are in grams, on birds left out of the fit."""
    rows = [
        {
            "species": own["species"],
            "birds": own["birds"],
            "rmse_own_model": own["rmse"],
            "rmse_one_for_all": baseline["rmse"][own["species"]],
        }
        for own in (adelie, chinstrap, gentoo)
    ]
    table = pd.DataFrame(rows)
    table["gain_percent"] = 100 * (1 - table["rmse_own_model"] / table["rmse_one_for_all"])
    return table
