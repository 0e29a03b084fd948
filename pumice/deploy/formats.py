"""The formats that a network is written in, and the runtimes that read them.  Imports nothing heavy.

A format is one line of `FORMATS` and one file of this folder, whose `write` turns a network into it and whose session
class runs it; a runtime is one line of `RUNTIMES`.
"""

import re
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from pumice.errors import BadInput, nearest


@dataclass(frozen=True)
class Runtime:
    """What runs files, or networks.

    session: "module:class" of its session, imported when it is asked for.
    package: that must be importable.  extra: of Pumice, that brings it.
    """

    name: str
    session: str
    package: str
    extra: str


@dataclass(frozen=True)
class Format:
    """A kind of file.

    suffix: of its file; "" for a folder.
    main: the part of a folder that is opened; "" where the format is never a folder.
    runtimes: that read it, the preferred one first.
    writer: "module:function", called with (network, path, input_size, manifest=, batch=, dynamic=).
    packages: that writing needs.  extra: of Pumice, that brings them.
    open_sizes: whether batch and image size can stay open until the file is opened.
    bakes: whether a file can read the pixels of images (uint8), see `pumice.deploy.baked`.
    code: whether opening it runs what it says, so that only files written here are opened unasked.
    tunes: whether its writer can measure which code is fastest: it takes tune_s=.
    """

    name: str
    suffix: str
    runtimes: tuple[str, ...]
    writer: str
    packages: tuple[str, ...]
    extra: str = "deploy"
    main: str = ""
    open_sizes: bool = False
    bakes: bool = True
    code: bool = False
    tunes: bool = False


RUNTIMES: dict[str, Runtime] = {
    runtime.name: runtime
    for runtime in (
        Runtime("eager", "pumice.deploy.eager:EagerSession", "torch", ""),
        Runtime("onnxruntime", "pumice.deploy.onnxruntime:OnnxRuntimeSession", "onnxruntime", "deploy"),
        Runtime("openvino", "pumice.deploy.openvino:OpenVinoSession", "openvino", "deploy"),
        Runtime("inductor", "pumice.deploy.inductor:InductorSession", "torch", ""),
        Runtime("litert", "pumice.deploy.litert:LiteRtSession", "ai_edge_litert", "mobile"),
        Runtime("executorch", "pumice.deploy.executorch:ExecuTorchSession", "executorch", "mobile"),
        Runtime("ncnn", "pumice.deploy.ncnn:NcnnSession", "ncnn", "mobile"),
        Runtime("native", "pumice.deploy.native:NativeSession", "pumice", ""),
    )
}

FORMATS: dict[str, Format] = {
    form.name: form
    for form in (
        Format(
            "onnx",
            ".onnx",
            ("onnxruntime", "openvino"),
            "pumice.deploy.onnx:export_onnx",
            ("onnx", "onnxscript"),
            open_sizes=True,
        ),
        Format(
            "openvino",
            ".xml",
            ("openvino",),
            "pumice.deploy.openvino:export_openvino",
            ("onnx", "onnxscript", "openvino"),
            main="model.xml",
            open_sizes=True,
        ),
        Format("pt2", ".pt2", ("eager",), "pumice.deploy.pt2:write_pt2", ("torch",), "", code=True),
        Format("aoti", ".pt2", ("inductor",), "pumice.deploy.inductor:write_aoti", ("torch",), "", code=True),
        Format("litert", ".tflite", ("litert",), "pumice.deploy.litert:write_litert", ("litert_torch",), "mobile"),
        Format(
            "executorch",
            ".pte",
            ("executorch",),
            "pumice.deploy.executorch:write_executorch",
            ("executorch",),
            "mobile",
        ),
        Format(
            "ncnn",
            "",
            ("ncnn",),
            "pumice.deploy.ncnn:write_ncnn",
            ("ncnn", "pnnx"),
            "mobile",
            main="model.param",
            bakes=False,
        ),
        Format(
            "native",
            ".so",
            ("native",),
            "pumice.deploy.native_writing:write_native",
            ("torch",),
            "",
            code=True,
            tunes=True,
        ),
        Format(
            "c",
            "",
            ("native",),
            "pumice.deploy.native_writing:write_c",
            ("torch",),
            "",
            main="model.c",
            code=True,
            tunes=True,
        ),
    )
}

MINIMUM: dict[str, tuple[str, str]] = {
    "onnxruntime": ("onnxruntime", "1.22"),
    "openvino": ("openvino", "2025.3"),
    "litert": ("ai-edge-litert", "2.0"),
    "executorch": ("executorch", "1.0"),
    "ncnn": ("ncnn", "1.0.20250916"),
}
"""Runtime -> its package and the oldest version that runs our files, as in pyproject.toml."""

_BY_SUFFIX = {".onnx": "onnx", ".xml": "openvino", ".pt2": "pt2", ".tflite": "litert", ".pte": "executorch"}
_BY_SUFFIX |= {".param": "ncnn", ".so": "native", ".c": "c"}
SUFFIXES = tuple(_BY_SUFFIX)
MAINS = ("model.xml", "model.param", "model.onnx", "model.tflite", "model.pte", "model.pt2", "model.so", "model.c")
"""What a folder's model file is called, the one that is looked for first first."""
AOTI = "data/aotinductor/"
"""Inside the archive of a .pt2: what tells compiled code from a program."""


def format_of(file: Path) -> Format:
    """The format of a model file that exists (a folder's main part for folders).

    Raises:
        BadInput: its suffix is of none.
    """
    name = _BY_SUFFIX.get(file.suffix.lower())
    if name is None:
        raise BadInput(f"{file} is no model file; give one of {', '.join(SUFFIXES)}")
    if name == "pt2" and _compiled(file):
        name = "aoti"
    return FORMATS[name]


def format_named(path: Path, name: str | None) -> Format:
    """The format to write at `path`: the one asked for, else the one that the suffix says; no suffix is OpenVINO's.

    Raises:
        BadInput: there is no such format, or the path does not suit it.
    """
    by_suffix = _BY_SUFFIX.get(path.suffix.lower(), "openvino" if path.suffix == "" else None)
    chosen = name or by_suffix
    if chosen is None:
        raise BadInput(f"the suffix of {path} names no format; use one of {', '.join(SUFFIXES)}, or give a format")
    if chosen not in FORMATS:
        raise BadInput(f"no format {chosen!r}{nearest(chosen, list(FORMATS)) or '; choose ' + ', '.join(FORMATS)}")
    form = FORMATS[chosen]
    folder = bool(form.main) and path.suffix == ""
    if not folder and path.suffix.lower() != form.suffix:
        ends = [f"ends in {form.suffix}"] * bool(form.suffix) + ["has no suffix"] * bool(form.main)
        raise BadInput(f"a file of format {chosen} {' or '.join(ends)}, not like {path.name}")
    return form


def writable(form: Format) -> bool:
    """Whether the packages are here that writing the format needs."""
    return all(find_spec(package) is not None for package in form.packages)


def require_writer(form: Format) -> None:
    """
    Raises:
        BadInput: a package that writing the format needs is absent.
    """
    missing = [package for package in form.packages if find_spec(package) is None]
    if missing:
        raise BadInput(
            f"writing {form.name} files needs {' and '.join(missing)}; run `pip install 'pumice[{form.extra}]'`"
        )


def writer_of(form: Format) -> Callable[..., None]:
    """The function that writes a format."""
    return imported(form.writer)


def imported(place: str) -> Any:
    """What "module:name" means."""
    module, name = place.split(":")
    return getattr(import_module(module), name)


def require_recent(runtime: str) -> None:
    """
    Raises:
        BadInput: the runtime is here in a version below `MINIMUM`.
    """
    package, least = MINIMUM.get(runtime, ("", ""))
    if not package:
        return
    try:
        have = version(package)
    except PackageNotFoundError:
        return  # built by hand, or under another name (onnxruntime-gpu)
    if numbers(have) < numbers(least):
        extra = RUNTIMES[runtime].extra
        raise BadInput(
            f"{package} {have} is too old, {least} or later is needed; run `pip install -U 'pumice[{extra}]' {package}`"
        )


def numbers(text: str) -> tuple[int, ...]:
    """The leading numbers of a version: "1.23.0rc1" is (1, 23, 0)."""
    return tuple(int(part) for part in re.findall(r"\d+", re.split(r"[^\d.]", text, maxsplit=1)[0]))


def _compiled(file: Path) -> bool:
    try:
        with zipfile.ZipFile(file) as archive:
            return any(AOTI in name for name in archive.namelist())
    except (zipfile.BadZipFile, OSError):
        return False
