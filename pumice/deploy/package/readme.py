"""The folder's README.md: how to run it, and what it is where no run tells more."""

from collections.abc import Mapping

from pumice.deploy.package.runners import RUNNERS
from pumice.models.manifest import Manifest


def how_to_run(manifest: Manifest, models: Mapping[str, str], checked: Mapping[str, float]) -> str:
    """Markdown about the folder's files.

    Args:
        manifest: of the files.
        models: runtime -> its model file, relative to the folder.
        checked: runtime -> largest relative error against the network, where it was compared.
    """
    first = next(iter(models))
    rows = [
        (RUNNERS[name].title, f"`python run_{name}.py photo.jpg`", f"`{model}`", _said(checked.get(name)))
        for name, model in models.items()
    ]
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    table = "\n".join(("| in | run | model | compared with the trained network |", "| --- | --- | --- | --- |", *lines))
    return (
        f"```console\n$ pip install -r requirements-{first}.txt\n$ python run_{first}.py photo.jpg\n```\n\n"
        "prints the five most probable classes. A script needs its runtime, numpy and Pillow (ExecuTorch's Python "
        f"package also torch), and the files beside it; nothing else of Pumice.\n\n{table}\n\n"
        "`labels.txt` names the classes in the order of the outputs, a line each; `pumice.json` says everything that "
        "Pumice knows of the network, above all how an image becomes its input. "
        f"{_reads(manifest)}"
    )


def plain_readme(manifest: Manifest, loading: str) -> str:
    """Markdown for a network that no run tells of."""
    channels, height, width = manifest.input_size
    name = " ".join(manifest.model.name.split()).replace("<", "&lt;")
    count = len(manifest.classes) or manifest.model.num_classes
    return (
        f"# {name} at {channels}×{height}×{width}\n\n"
        f"An image classifier of {count} classes, made by Pumice.\n\n## How to load it\n\n{loading}\n"
    )


def _said(error: float | None) -> str:
    return "not compared" if error is None else f"agrees to {error:.1e} of the largest output"


def _reads(manifest: Manifest) -> str:
    _, height, width = manifest.input_size
    if manifest.preprocess.baked:
        return (
            f"The model reads the RGB pixels of the resized and cropped image, uint8 (1, {height}, {width}, 3), and "
            "normalises them itself. Resize with Pillow's filter, as the scripts do: others give other pixels, and "
            "cost accuracy."
        )
    return f"The model reads normalised planes, float32 (1, 3, {height}, {width}), as the scripts prepare them."
