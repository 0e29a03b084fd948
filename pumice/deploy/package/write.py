"""Write the folder of a package."""

import os
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pumice.deploy.carried import ENTRY, model_file, parts_of, read_checked, read_manifest
from pumice.deploy.compare import TOLERANCE
from pumice.deploy.formats import format_of
from pumice.deploy.package.readme import how_to_run, plain_readme
from pumice.deploy.package.runners import RUNNERS, main_of, requirements, runtime_named, script
from pumice.deploy.session import open_session, require, resolve_runtime
from pumice.errors import BadInput, CheckFailed
from pumice.files import atomic, write_json, writing
from pumice.models.manifest import Manifest

if TYPE_CHECKING:
    from torch import nn

README, LABELS = "README.md", "labels.txt"


@dataclass(frozen=True)
class Package(os.PathLike[str]):
    """A written folder.

    models: runtime -> its model file, relative to `path`.
    checked: runtime -> largest relative error against the network, where it was compared.
    """

    path: Path
    bytes: int
    models: dict[str, str]
    checked: dict[str, float]

    def __fspath__(self) -> str:
        return str(self.path)

    def to_json(self) -> dict[str, Any]:
        """JSON values."""
        return {
            "path": str(self.path),
            "format": "package",
            "bytes": self.bytes,
            "models": self.models,
            "checked": self.checked,
        }


def write_package(
    model_or_source: "nn.Module | str | os.PathLike[str]",
    folder: str | Path,
    *,
    runtimes: Sequence[str] = (),
    manifest: Manifest | None = None,
    input_size: tuple[int, int, int] | None = None,
    bake: bool = False,
    readme: Callable[[str], str] | None = None,
) -> Package:
    """Write model files, labels and a script for each runtime that classifies pictures without Pumice.

    Args:
        model_or_source: a network, run folder, .safetensors checkpoint, name, or a model file, which is taken as it is.
        folder: to write; one that holds a package is replaced.
        runtimes: of `RUNNERS`, or formats; by default ONNX Runtime, or what a given file was made for.
        manifest: what the folder shall say, by default the source's own.
        input_size: (C, H, W), by default the manifest's.
        bake: see `pumice.deploy.export.export`.
        readme: makes README.md of the text on how to run the package; by default a short one.

    Raises:
        BadInput: the network is no classifier of colour images or carries no manifest, a runtime is unknown, absent or
            cannot read the file, or the folder holds other things.
        CheckFailed: a runtime does not compute what the network computes.
    """
    folder = Path(folder)
    _free(folder)
    chosen = list(dict.fromkeys(require(runtime_named(name)) for name in runtimes))
    file = _file_of(model_or_source)
    with writing(folder), atomic(folder) as target:
        target.mkdir()
        if file is None:
            models, checked, said = _exported(
                model_or_source, target, chosen or ["onnxruntime"], manifest, input_size, bake
            )
        else:
            if bake or input_size is not None or manifest is not None:
                raise BadInput(f"{file} is taken as it is; export the run to bake or to read another size")
            models, checked, said = _copied(file, target, chosen)
        write_json(target / ENTRY, said.to_json())
        names = said.classes or tuple(map(str, range(said.model.num_classes)))
        labels = "".join(f"{' '.join(name.splitlines())}\n" for name in names)
        (target / LABELS).write_text(labels, encoding="utf-8")
        for runtime, model in models.items():
            (target / f"run_{runtime}.py").write_text(script(runtime, model), encoding="utf-8")
            (target / f"requirements-{runtime}.txt").write_text(requirements(runtime), encoding="utf-8")
        loading = how_to_run(said, models, checked)
        text = readme(loading) if readme else plain_readme(said, loading)
        (target / README).write_text(text, encoding="utf-8")
    size = sum(part.stat().st_size for part in folder.rglob("*") if part.is_file())
    return Package(folder, size, models, checked)


def _file_of(source: "nn.Module | str | os.PathLike[str]") -> Path | None:
    """A model file that is named; a run folder means its weights."""
    if not isinstance(source, str | os.PathLike):
        return None
    path = Path(source)
    return None if path.is_dir() and any(path.glob("*.safetensors")) else model_file(path)


def _free(folder: Path) -> None:
    """
    Raises:
        BadInput: something lies there that is no package.
    """
    if folder.exists() and not folder.is_dir():
        raise BadInput(f"{folder} is a file; a package is a folder, give a path that is free")
    own = {README, LABELS, ENTRY, "ncnn", "model.onnx", "model.xml", "model.bin", "model.tflite", "model.pte"}
    own |= {name for runtime in RUNNERS for name in (f"run_{runtime}.py", f"requirements-{runtime}.txt")}
    inside = {part.name for part in folder.iterdir()} if folder.is_dir() else set()
    foreign = sorted(inside - own) or (sorted(inside) if inside and not {ENTRY, LABELS} <= inside else [])
    if foreign:
        raise BadInput(f"the folder {folder} holds other things ({foreign[0]}); give a path that is free")


def _suitable(manifest: Manifest | None, source: object) -> Manifest:
    if manifest is None:
        raise BadInput(f"{source} does not say how images are fed to it; export it with Pumice, or give manifest=")
    manifest.needs_classifier("the scripts of a package name the class of a picture")
    if manifest.model.in_chans != 3:
        raise BadInput(f"{manifest.model.name} reads {manifest.model.in_chans} channels; pictures have three")
    return manifest


def _exported(
    source: "nn.Module | str | os.PathLike[str]",
    target: Path,
    runtimes: Sequence[str],
    manifest: Manifest | None,
    input_size: tuple[int, int, int] | None,
    bake: bool,
) -> tuple[dict[str, str], dict[str, float], Manifest]:
    """Runtime -> file, runtime -> error, and what the files say."""
    from pumice.deploy.export import export
    from pumice.deploy.network import load

    model, manifest = load(Path(source) if isinstance(source, os.PathLike) else source, manifest)
    manifest = _suitable(manifest, type(model).__name__)
    models, checked = {}, {}
    for runtime in runtimes:
        name = RUNNERS[runtime].format
        file = target / main_of(name)
        # ncnn's pair is a folder of its own.
        path = file.parent if name == "ncnn" else file
        made = export(model, path, format=name, manifest=manifest, input_size=input_size, bake=bake)
        if runtime not in made.right:
            raise CheckFailed(f"{runtime} does not compute what {manifest.model.name} computes; choose another runtime")
        models[runtime], checked[runtime] = main_of(name), made.checked[runtime]
    said = _suitable(read_manifest(file), file)
    return models, checked, said


def _copied(file: Path, target: Path, runtimes: Sequence[str]) -> tuple[dict[str, str], dict[str, float], Manifest]:
    """The same of a file that is there."""
    form = format_of(file)
    manifest = _suitable(read_manifest(file), file)
    chosen = list(runtimes) or [runtime_named(resolve_runtime(file))]
    checked = read_checked(file)
    for runtime in chosen:
        if runtime not in form.runtimes:
            able = " or ".join(form.runtimes)
            raise BadInput(f"{runtime} does not read {file.name}; choose {able}, or give the run that it is of")
        if checked.get(runtime, 0.0) > TOLERANCE:
            raise CheckFailed(f"{runtime} disagreed with the network when {file.name} was exported")
        open_session(file, runtime=runtime, batch=1).close()  # the scripts read one picture a pass
    main = target / main_of(form.name)
    main.parent.mkdir(exist_ok=True)
    for part in filter(Path.is_file, parts_of(file)):
        shutil.copyfile(part, main.with_name(ENTRY) if part.name == ENTRY else main.with_suffix(part.suffix))
    return dict.fromkeys(chosen, main_of(form.name)), {r: checked[r] for r in chosen if r in checked}, manifest
