"""Options that several verbs share, and how their values are read."""

import os
import re
from typing import Annotated, Any

import typer

from pumice.errors import BadInput

Json = Annotated[bool, typer.Option("--json", help="Print JSON for machines.")]
Threads = Annotated[int, typer.Option(metavar="N", min=1, help="Threads of the runtime.")]
OwnThreads = Annotated[
    int | None, typer.Option("--threads", metavar="N", min=1, help="Threads of the runtime; 1, or the table's own.")
]
Lut = Annotated[
    str | None, typer.Option("--lut", metavar="FILE", help="Predict latencies by this lookup table of another device.")
]
Device = Annotated[str, typer.Option(metavar="NAME", help="cpu or cuda.")]
On = Annotated[str | None, typer.Option(metavar="DEVICE", help="Measure there: ssh:HOST or adb:SERIAL.")]
Pretrained = Annotated[bool, typer.Option("--pretrained", help="Published weights (may download).")]
Trust = Annotated[
    bool, typer.Option("--trust", help="The .pt2 files given, which are code, may be opened, now and from now on.")
]
Set = Annotated[list[str] | None, typer.Option("--set", metavar="A.B=C", help="Change a setting: model.width=0.6")]


def trusting(trust: bool, *files: str) -> None:
    """Take files that are code for the user's own, where the user says so."""
    if trust:
        from pumice.deploy.carried import model_file
        from pumice.deploy.trusted import remember

        for file in filter(None, map(model_file, files)):
            remember(file)


def threads_that_sleep() -> None:
    """On a busy machine, let torch's threads sleep while they wait for each other; call it before torch is imported.

    Spinning, as they do by default, trains 1.4 to 1.6 times as fast on two free cores, and half as fast as sleeping
    where one of them has other work (docs/log.md).  OMP_WAIT_POLICY, when set, decides instead.
    """
    if "OMP_WAIT_POLICY" not in os.environ and others_take() > 0.25:
        os.environ["OMP_WAIT_POLICY"] = "PASSIVE"


def others_take(look_s: float = 0.3) -> float:
    """The share of all cores that other work takes, while this process sleeps for a moment; 0 where nobody can say."""
    import time

    from pumice.cost.contention import core_times

    before = core_times()
    time.sleep(look_s)
    after = core_times()
    total = sum(after[core].total - before[core].total for core in before.keys() & after.keys())
    return sum(after[core].busy - before[core].busy for core in before.keys() & after.keys()) / total if total else 0.0


def read_shape(text: str | None) -> tuple[int, int, int] | None:
    """`3x224x224` (channels, height, width) -> (3, 224, 224).

    Raises:
        BadInput: anything else.
    """
    if text is None:
        return None
    match = re.fullmatch(r"(\d+)x(\d+)x(\d+)", text)
    if match is None or "0" in match.groups():
        raise BadInput(f"--input {text!r} is no shape; write channels, height, width as in 3x224x224")
    c, h, w = map(int, match.groups())
    return c, h, w


def model_options(pairs: list[str] | None) -> dict[str, Any]:
    """`["model.width=0.6"]` -> {"width": 0.6}.

    Raises:
        BadInput: another section than `model`, or no `=`.
    """
    from pumice.values import read_value

    options = {}
    for pair in pairs or []:
        key, equals, value = pair.partition("=")
        if not equals or not key.startswith("model."):
            raise BadInput(f"--set {pair!r} cannot be read; write --set model.width=0.6")
        options[key.removeprefix("model.")] = read_value(value)
    return options


def read_counts(text: str, option: str) -> list[int]:
    """`"1,2"` -> [1, 2].

    Raises:
        BadInput: anything but whole numbers above zero.
    """
    parts = [part.strip() for part in text.split(",")]
    if not all(part.isdecimal() and int(part) > 0 for part in parts):
        raise BadInput(f"{option} {text!r} is not a whole number above zero; write 1 or 1,2")
    return list(dict.fromkeys(int(part) for part in parts))


def words(values: list[str] | None) -> list[str]:
    """`["a,b", "c"]` -> ["a", "b", "c"]."""
    return [word for value in values or [] for word in value.split(",") if word]


def known_device(device: str) -> str:
    """The device, if it is one; whether this machine has it is not asked, which takes torch.

    Raises:
        BadInput: it is none.
    """
    if device not in ("cpu", "cuda"):
        raise BadInput(f"--device {device!r} is unknown; choose cpu or cuda")
    return device


def check_device(device: str) -> str:
    """The device, if this machine has it.

    Raises:
        BadInput: it has not.
    """
    if known_device(device) == "cuda":
        import torch

        if not torch.cuda.is_available():
            raise BadInput("--device cuda: this machine has no CUDA device that torch can use; choose cpu")
    return device
