"""The verbs about kernelspecs of forked kernels, for other Jupyter tools; workflows need none."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from orchestrator_nb.cli.options import Json
from orchestrator_nb.errors import UsageError

kernels = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="Forked Python kernels for any Jupyter tool.")


@kernels.command()
def install(
    name: Annotated[str, typer.Option(help="The name of the kernelspec.")] = "python3-forked",
    preload: Annotated[str, typer.Option(help="Modules to import before the fork, with commas between.")] = "",
    prefix: Annotated[str | None, typer.Option(help="Where to install it, instead of for the user.")] = None,
) -> None:
    """Install a kernelspec for this Python whose kernels are forked from a warm server."""
    from orchestrator_nb.kernels import kernelspec

    modules = [module.strip() for module in preload.split(",") if module.strip()]
    try:
        spec = kernelspec.install(name, preload=modules, prefix=prefix)
    except (ValueError, OSError) as error:
        raise UsageError(f"the kernelspec was not installed: {error}") from error
    print(f'the kernel "{spec.name}" is in "{spec.folder}"')


@kernels.command("list")
def listed(as_json: Json = False) -> None:
    """List the kernelspecs that were installed so."""
    from orchestrator_nb.kernels import kernelspec

    specs = kernelspec.installed()
    if as_json:
        rows = [{"name": s.name, "folder": str(s.folder), "python": s.python, "preload": s.preload} for s in specs]
        print(json.dumps(rows))
        return
    for spec in specs:
        print(f"{spec.name}  {spec.python}  {', '.join(spec.preload) or 'nothing preloaded'}  {spec.folder}")


@kernels.command()
def remove(name: Annotated[str, typer.Argument(help="The name of the kernelspec.")]) -> None:
    """Remove a kernelspec that was installed so."""
    from orchestrator_nb.kernels import kernelspec

    try:
        spec = kernelspec.remove(name)
    except (ValueError, OSError) as error:
        raise UsageError(f"nothing was removed: {error}") from error
    print(f'removed the kernel "{spec.name}" from "{spec.folder}"')
