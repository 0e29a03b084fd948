"""The ways to quantise a network: a line each.  Imports nothing heavy."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec

from pumice.deploy.formats import FORMATS, RUNTIMES
from pumice.errors import BadInput, nearest


@dataclass(frozen=True)
class Scheme:
    """A toolkit that quantises, the format that it writes and the runtime that it writes for.

    writer: "module:function".
    packages: modules that it needs beside those of its format.  extra: of Pumice, that brings them.
    settings: what can be set, each with its choices, the default first.
    apart: whether its native code may die, so that it works in a process of its own.
    """

    name: str
    format: str
    runtime: str
    writer: str
    packages: tuple[str, ...]
    extra: str = "deploy"
    settings: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    apart: bool = False

    @property
    def missing(self) -> tuple[str, ...]:
        """What has to be importable and is not."""
        form = FORMATS[self.format]
        modules = [*self.packages, *form.packages, RUNTIMES[self.runtime].package]
        modules += [place.split(":")[0] for place in (self.writer, form.writer)]
        return tuple(dict.fromkeys(name for name in modules if find_spec(name) is None))

    def available(self) -> bool:
        """Whether its packages and the runtime are here."""
        return not self.missing


# On processors that multiply pairs of bytes into 16 bits (x86 before VNNI) two large products overflow; weights of 7
# bits cannot.  Hence "reduced" is right on every machine; "full" is more exact where nothing overflows.
_RANGE = ("reduced", "full")

SCHEMES: dict[str, Scheme] = {
    scheme.name: scheme
    for scheme in (
        Scheme(
            "openvino-int8",
            "openvino",
            "openvino",
            "pumice.deploy.schemes.openvino_int8:write",
            ("nncf",),
            settings={"preset": ("mixed", "performance"), "weights": _RANGE},
        ),
        Scheme(
            "onnxruntime-int8",
            "onnx",
            "onnxruntime",
            "pumice.deploy.schemes.onnxruntime_int8:write",
            (),
            settings={"calibration": ("minmax", "percentile", "entropy"), "weights": _RANGE},
        ),
        Scheme(
            "litert-int8",
            "litert",
            "litert",
            "pumice.deploy.schemes.litert_int8:write",
            ("ai_edge_quantizer",),
            "mobile",
            apart=True,
        ),
        Scheme(
            "executorch-int8",
            "executorch",
            "executorch",
            "pumice.deploy.schemes.executorch_int8:write",
            ("torchao", "pumice.deploy.executorch_int8"),
            "mobile",
            apart=True,
        ),
    )
}


def scheme_named(name: str) -> Scheme:
    """The scheme, ready to be used.

    Raises:
        BadInput: there is none of that name, or a package that it needs is absent.
    """
    if name not in SCHEMES:
        raise BadInput(f"no scheme {name!r}{nearest(name, list(SCHEMES)) or '; choose ' + ', '.join(SCHEMES)}")
    scheme = SCHEMES[name]
    if scheme.missing:
        needs = " and ".join(scheme.missing)
        raise BadInput(f"scheme {name} needs {needs}; run `pip install 'pumice[{scheme.extra}]'`")
    return scheme


def chosen_settings(scheme: Scheme, given: Mapping[str, str]) -> dict[str, str]:
    """Every setting of a scheme: those given, the others at their defaults.

    Raises:
        BadInput: the scheme has no such setting, or the setting no such choice.
    """
    for key, value in given.items():
        if key not in scheme.settings:
            has = ", ".join(scheme.settings) or "none"
            raise BadInput(f"scheme {scheme.name} has no setting {key!r}; it has {has}")
        if value not in scheme.settings[key]:
            raise BadInput(f"{key} of scheme {scheme.name} is {' or '.join(scheme.settings[key])}, not {value!r}")
    return {key: given.get(key, choices[0]) for key, choices in scheme.settings.items()}
