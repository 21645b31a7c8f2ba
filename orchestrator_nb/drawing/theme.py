"""The colours of pictures, cards and panels: those of Jupyter's theme, else those of VS Code's, else plain ones."""

from __future__ import annotations

THEME = {
    "ink": ("jp-ui-font-color1", "vscode-editor-foreground", "#1f2933"),
    "soft": ("jp-ui-font-color2", "vscode-descriptionForeground", "#52606d"),
    "line": ("jp-border-color2", "vscode-editorWidget-border", "#d9e2ec"),
    "edge": ("jp-border-color1", "vscode-editorLineNumber-foreground", "#9fb3c8"),
    "paper": ("jp-layout-color1", "vscode-editor-background", "#fff"),
    "ground": ("jp-layout-color0", "vscode-editor-background", "#fbfcfe"),
    "sunk": ("jp-layout-color2", "vscode-editorWidget-background", "#f0f4f8"),
    "good": ("jp-success-color1", "vscode-testing-iconPassed", "#2e7d32"),
    "live": ("jp-brand-color1", "vscode-textLink-foreground", "#1565c0"),
    "bad": ("jp-error-color1", "vscode-errorForeground", "#c62828"),
    "warn": ("jp-warn-color1", "vscode-editorWarning-foreground", "#b45309"),
    "link": ("jp-content-link-color", "vscode-textLink-foreground", "#0b5cad"),
    "font": ("jp-ui-font-family", "vscode-font-family", "system-ui, sans-serif"),
    "mono": ("jp-code-font-family", "vscode-editor-font-family", "ui-monospace, Menlo, Consolas, monospace"),
}
"""By our name: the variable of Jupyter's theme, that of VS Code's, and what holds on a page that has neither."""


def variables() -> str:
    """Return them as declarations of a style sheet: ``--onb-ink: …;`` and so on."""
    return " ".join(
        f"--onb-{name}: var(--{jp}, var(--{vscode}, {plain}));" for name, (jp, vscode, plain) in THEME.items()
    )
