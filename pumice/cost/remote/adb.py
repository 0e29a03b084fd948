"""A device over the Android debug bridge.

An Android phone has no Python of its own.  PUMICE_REMOTE_PYTHON names one that the debug bridge's user may run; Termux
keeps its Python to itself unless it is a debuggable build (`run-as com.termux ...`) or the phone is rooted.  On other
phones start Termux's ssh server, `adb forward tcp:8022 tcp:8022`, and use `ssh:localhost:8022`.  Tested with a stand-in
for adb, not yet on a phone.
"""

import os
import shlex
from typing import final

from pumice.cost.remote.transport import Device
from pumice.errors import BadInput, CheckFailed

TEMPORARY = "/data/local/tmp"  # the one folder that the debug bridge's user may write to


@final
class Adb(Device):
    """The serial number that `adb devices` shows; PUMICE_ADB is the command to use, `adb` by default."""

    def __init__(self, where: str) -> None:
        """
        Raises:
            BadInput: there is no serial number.
        """
        super().__init__(f"adb:{where}", os.environ.get("PUMICE_REMOTE_PYTHON") or "python3")
        if not where or where.startswith("-"):
            raise BadInput(f"no device {self.address!r}; write adb:SERIAL with a serial number of `adb devices`")
        self.serial = where

    def command(self, program: str) -> list[str]:
        """A shell without a terminal, which passes bytes on as they are (Android 7 or newer)."""
        adb = shlex.split(os.environ.get("PUMICE_ADB") or "adb")
        return [*adb, "-s", self.serial, "shell", "-T", f"TMPDIR={TEMPORARY} {program}"]

    def trouble(self, code: int, said: str) -> BadInput | CheckFailed:
        """By what adb said, and the exit status of the shell there."""
        if "not found" in said and self.serial in said:
            return BadInput(f"{self.address}: no such device; `adb devices` shows those that are connected")
        if "unauthorized" in said:
            return BadInput(f"{self.address}: the phone has not allowed this computer; unlock it and accept the key")
        if "offline" in said:
            return BadInput(f"{self.address}: the phone is offline; connect it again")
        if code in (126, 127) or "inaccessible or not found" in said:
            return BadInput(f"{self.address} has no {self.python}; name its Python in PUMICE_REMOTE_PYTHON")
        last = said.rpartition("\n")[2] or f"exit status {code}"
        return CheckFailed(
            f"the connection to {self.address} was lost before the answer came ({last[:200]}); try again"
        )
