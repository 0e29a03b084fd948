"""What a `fit` needs before it begins: data, runtimes, its folder, a function that builds networks."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pumice.errors import BadInput
from pumice.files import read_json, write_json
from pumice.loop.candidates import NATIVE
from pumice.loop.config import FitConfig
from pumice.loop.where import table, there
from pumice.tasks.names import CLASSIFY

if TYPE_CHECKING:
    from torch import nn

    from pumice.data.images import Splits


def opened(config: FitConfig) -> "Splits[Any]":
    """The data, as the task wants them.

    Raises:
        BadInput: see `open_data` and `open_dense`.
    """
    from pumice.data.open import open_data
    from pumice.data.open_dense import open_dense

    how: dict[str, Any] = {"seed": config.seed, "val_fraction": config.val_fraction, "strict": config.strict}
    return open_data(config.data, **how) if config.task == CLASSIFY else open_dense(config.data, config.task, **how)


def runtimes_for(config: FitConfig) -> tuple[str, ...]:
    """The runtimes that may run the file: here, where it is verified, and where it is measured.

    A table is of one runtime, which need not be here: another one verifies the file then.  What is compiled here is
    measured here.

    Raises:
        BadInput: unknown, not installed, or one that reads no files; or the device that measures cannot be reached, or
            the table cannot be read; or there is no compiler.
    """
    from pumice.deploy.session import installed, require

    lut = table(config)
    able, wanted = ("onnxruntime", "openvino"), config.runtime if lut is None else lut.runtime
    if wanted == NATIVE:
        return _native(config, elsewhere=config.on is not None or lut is not None)
    if wanted != "auto" and wanted not in able:
        raise BadInput(f"fit cannot ship for runtime {wanted!r}; choose {', '.join(able)} or {NATIVE}")
    anything = wanted == "auto" or lut is not None
    here = tuple(name for name in able if installed(name)) if anything else (require(wanted),)
    if not here:
        raise BadInput("fit ships files for onnxruntime or openvino; install them with `pip install 'pumice[deploy]'`")
    if lut is not None:
        return (lut.runtime,)
    device = there(config)
    found = here if device is None else tuple(name for name in here if name in device.machine.versions)
    if device is not None and not found:
        raise BadInput(f"{device.address} has no {' and no '.join(here)}; run `pip install {here[0]} numpy` there")
    return found


def _native(config: FitConfig, *, elsewhere: bool) -> tuple[str, ...]:
    """
    Raises:
        BadInput: another machine measures or is meant, or there is no compiler.
    """
    from pumice.native.build import compiler

    if elsewhere:
        raise BadInput(f"runtime {NATIVE} is compiled for this machine; leave out --{'on' if config.on else 'lut'}")
    compiler()
    return (NATIVE,)


def only_net(config: FitConfig) -> str | None:
    """The network that the weights file belongs to."""
    if config.weights is None:
        return None
    from pumice.models.weights import owner_of

    return owner_of(config.weights)


def builder(config: FitConfig, num_classes: int) -> Callable[[str], "nn.Module"]:
    """A function from a name to its network with a head for the data's classes; the same seed, the same weights."""
    from pumice.recipes.small_data import classify
    from pumice.recipes.small_dense import dense
    from pumice.train.net import build_net

    def build(name: str) -> "nn.Module":
        start: dict[str, Any] = {"pretrained": config.pretrained, "weights": config.weights}
        if config.task == CLASSIFY:
            recipe = classify(config.data, name, **start)
        else:
            recipe = dense(config.task, config.data, name, task_options=config.task_options, **start)
        return build_net(replace(recipe, seed=config.seed), tuple(map(str, range(num_classes))))

    return build


def claim(out: Path, config: FitConfig) -> bool:
    """Make the run folder and its config.json; whether it was new.  A `fit` that was killed there is begun again.

    Raises:
        BadInput: the folder holds something else.
    """
    held = out / "config.json"
    if out.exists() and not out.is_dir():
        raise BadInput(f"{out} is a file; name a folder for the run")
    if held.is_file():
        unfinished = not (out / "metrics.json").exists() and read_json(held).get("verb") == "fit"
        if not unfinished:
            raise BadInput(f"{out} holds another run; choose another --out")
    elif out.is_dir() and any(out.iterdir()):
        raise BadInput(f"{out} is not empty; choose another --out")
    new = not out.exists()
    write_json(held, config.to_json())
    return new
