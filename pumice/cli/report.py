"""`pumice report`: runs as one HTML page."""

from pathlib import Path
from typing import Annotated

import typer


def command(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN", help="Run folders; several are compared.")],
    out: Annotated[Path, typer.Option(metavar="FILE", help="The page to write.")] = Path("report.html"),
) -> None:
    """Write one self-contained page that opens offline."""
    from pumice.report.page import write_page

    typer.echo(f"wrote {write_page(runs, out)}")
