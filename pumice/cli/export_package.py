"""`pumice export --format package`: a folder that classifies pictures without Pumice."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from pumice.cli import show


def export_package(
    source: str,
    out: Path,
    runtimes: Sequence[str] | None,
    *,
    pretrained: bool,
    input_size: tuple[int, int, int] | None,
    bake: bool,
    json: bool,
) -> None:
    """Write it and say what was written; see `pumice.deploy.package.write_package`."""
    from pumice.deploy.package import write_package

    given: Any = source
    manifest = None
    if pretrained:
        from pumice.models.source import load_source

        given, manifest = load_source(source, pretrained=True)
    made = write_package(
        given,
        out,
        runtimes=runtimes or (),
        manifest=manifest,
        input_size=input_size,
        bake=bake,
        readme=card_of(Path(source)),
    )
    if json:
        show.emit(made.to_json())
        return
    lines = [("wrote", f"{made.path} (package, {show.size(made.bytes)})")]
    for runtime, model in made.models.items():
        error = made.checked.get(runtime)
        agrees = "" if error is None else f", which agrees to {error:.1e}"
        lines.append((runtime, f"python {made.path / f'run_{runtime}.py'} photo.jpg: {model}{agrees}"))
    show.facts(lines)


def card_of(run: Path) -> Callable[[str], str] | None:
    """The card of a run, about another folder; None where the source is no finished run."""
    if not (run / "metrics.json").is_file():
        return None
    from pumice.report.reading import read_run
    from pumice.report.tables import card

    return lambda loading: card(read_run(run), loading)
