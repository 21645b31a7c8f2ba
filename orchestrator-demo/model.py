"""A linear model of body mass, fitted by least squares; shared by the notebooks and by `steps.py`."""

from __future__ import annotations

import numpy as np
import pandas as pd

PREDICTORS = ["flipper_mm", "culmen_length_mm", "culmen_depth_mm", "male"]
TARGET = "mass_g"


def design(penguins: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Return X, shape (n, 1 + predictors) with a first column of ones, and y, the masses in grams, shape (n,)."""
    x = np.column_stack([np.ones(len(penguins)), penguins[PREDICTORS].to_numpy(dtype=float)])
    return x, penguins[TARGET].to_numpy(dtype=float)


def fit(penguins: pd.DataFrame) -> pd.DataFrame:
    """Return a table of the coefficients and their standard errors, in grams per unit of the predictor."""
    x, y = design(penguins)
    beta, *_ = np.linalg.lstsq(x, y, rcond=None)
    residuals = y - x @ beta
    variance = residuals @ residuals / (len(y) - x.shape[1])
    errors = np.sqrt(np.diag(variance * np.linalg.inv(x.T @ x)))
    return pd.DataFrame({"term": ["intercept", *PREDICTORS], "estimate": beta, "standard_error": errors})


def left_out_residuals(penguins: pd.DataFrame) -> np.ndarray:
    """Return how far off, in grams, the model is for each bird when it was fitted on all the others, shape (n,).

    Least squares needs no n fits for that: a residual divided by one minus its leverage is the left-out residual.
    """
    x, y = design(penguins)
    beta, *_ = np.linalg.lstsq(x, y, rcond=None)
    leverage = np.einsum("ij,ji->i", x, np.linalg.pinv(x))
    return (y - x @ beta) / (1 - leverage)


def rmse(residuals: np.ndarray) -> float:
    """Return the root of the mean squared residual, in grams."""
    return float(np.sqrt(np.mean(residuals**2)))
