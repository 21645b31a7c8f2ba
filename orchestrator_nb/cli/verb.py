"""A verb of the command line, whose usage is shown as people write it."""

from __future__ import annotations

from typing import Any

from typer.core import TyperCommand


class Verb(TyperCommand):
    """A command of typer without the brackets that newer ones put around what is written here already."""

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        """Return the parts of the usage line, such as `[OPTIONS]` and `[RUN] COMMAND`."""
        pieces = [piece.removesuffix("...").strip("{}") for piece in super().collect_usage_pieces(ctx)]
        return [piece.replace("[[", "[").replace("]]", "]") for piece in pieces]
