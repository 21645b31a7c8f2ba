"""What a session shows of a run by itself: a card, unless the cell shows the run live already."""

from __future__ import annotations

from orchestrator_nb.orchestrator.display.looked import Looked
from orchestrator_nb.orchestrator.display.views import is_shown


class Looks(Looked):
    """The part of a run that IPython asks."""

    def _ipython_display_(self) -> None:
        if not is_shown(self.id):
            raise NotImplementedError  # IPython goes on to ask for the representations

    def _repr_html_(self) -> str:
        from orchestrator_nb.drawing.card import run_card
        from orchestrator_nb.orchestrator.display.picture import Picture

        picture = Picture(self)
        picture.look()
        return run_card(picture.parts, svg=picture.svg(), folder=self.folder)
