"""Measure on another machine: files go there, are timed there by this very code, and JSON comes back.

    from pumice.cost.remote import device

    timings = device("ssh:pi@raspberrypi").benchmark(["model.onnx", "mobilenetv2_100"], runtime="onnxruntime")

transport.py   what every device does with a request
ssh.py         over the system's ssh
adb.py         over the Android debug bridge
archive.py     one zip file: the modules that the target needs, the request, the model files
boot.py        the target's first program, sent as text: unpacks the archive, runs it, leaves nothing behind
runner.py      what the target does with a request; imports no torch
"""

from importlib import import_module
from typing import TYPE_CHECKING

from pumice.errors import BadInput

if TYPE_CHECKING:
    from pumice.cost.remote.transport import Device

_TRANSPORTS = {"ssh": "pumice.cost.remote.ssh:Ssh", "adb": "pumice.cost.remote.adb:Adb"}


def device(address: str) -> "Device":
    """The device at `ssh:HOST`, `ssh:USER@HOST:PORT` or `adb:SERIAL`; nothing is connected yet.

    Raises:
        BadInput: another address.
    """
    kind, colon, rest = address.partition(":")
    if kind not in _TRANSPORTS or not colon:
        raise BadInput(f"no device {address!r}; write ssh:HOST, ssh:USER@HOST:PORT or adb:SERIAL")
    module, name = _TRANSPORTS[kind].split(":")
    made: Device = getattr(import_module(module), name)(rest)
    return made
