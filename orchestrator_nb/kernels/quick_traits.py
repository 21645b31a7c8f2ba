"""Configuration of traitlets where there is none: each object would ask each of its traits whether something is set."""

from __future__ import annotations

from typing import Any

from traitlets import observe
from traitlets.config import Configurable


class QuicklyConfigured(Configurable):
    """A base for those of which many are made, and few are configured."""

    def _load_config(self, cfg: Any, section_names: Any = None, traits: Any = None) -> None:
        if cfg:
            super()._load_config(cfg, section_names=section_names, traits=traits)

    @observe("config")
    def _config_changed(self, change: Any) -> None:
        if change["new"]:
            super()._config_changed(change)
