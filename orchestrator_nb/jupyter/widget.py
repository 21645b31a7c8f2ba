"""The widget of a panel: the parts of a run's picture as its state in the browser, and what is clicked there."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import cache
from importlib.resources import files
from typing import Any

SCRIPTS = ("dom", "graph", "rows", "pages", "trends", "rating", "panel")
"""The files of the panel's script, in the order in which they need each other."""

Heard = Callable[[dict[str, Any]], None]


def panel_widget(parts: dict[str, Any], heard: Heard) -> Any:
    """Return a widget that shows these parts; `heard` is called with what is clicked, on any thread.

    Its method ``send_parts`` sends those that changed, in one message.
    """
    widget = _widget_class()(parts)
    widget.on_msg(lambda _widget, content, _buffers: heard(content))
    # A click is handled while a cell runs where the kernel has threads for that; some send it to the cell's thread.
    with suppress(Exception):
        widget.comm._reply_subshell_for = lambda _data, default: default
    return widget


def bundle_of(widget: Any) -> dict[str, Any]:
    """Return what shows a widget, by MIME type."""
    found = widget._repr_mimebundle_()
    return dict(found[0] if isinstance(found, tuple) else found)


@cache
def script() -> str:
    """Return the script of the panel: its files, one after the other, as the one module that a widget is."""
    place = files("orchestrator_nb.jupyter")
    return "\n".join((place / f"{name}.js").read_text(encoding="utf-8") for name in SCRIPTS)


@cache
def _widget_class() -> Any:
    import anywidget

    from orchestrator_nb.drawing.card import style

    class Widget(anywidget.AnyWidget):
        """Its state has, beside the traits of every widget, the parts by name."""

        _esm = script()
        _css = style()

        def __init__(self, parts: dict[str, Any]) -> None:
            self._parts = parts
            super().__init__()

        def get_state(self, key: Any = None, drop_defaults: bool = False) -> dict[str, Any]:
            """Return the traits and parts of these names, all where none is named."""
            wanted = None if key is None else [key] if isinstance(key, str) else list(key)
            traits = None if wanted is None else [name for name in wanted if name not in self._parts]
            state: dict[str, Any] = super().get_state(key=traits, drop_defaults=drop_defaults)
            parts = self._parts
            state.update({name: parts[name] for name in (list(parts) if wanted is None else wanted) if name in parts})
            return state

        def send_parts(self, names: Iterable[str]) -> None:
            """Send the parts of these names, in one message."""
            # The protocol's own message: `send_state` looks through all values for binary ones, and there are none.
            state = {name: self._parts[name] for name in names}
            if self.comm is not None:  # else somebody has closed the widget
                self.comm.send(data={"method": "update", "state": state, "buffer_paths": []})

    return Widget
