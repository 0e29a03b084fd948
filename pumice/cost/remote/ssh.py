"""A device over the system's ssh, with the user's own keys, agent and ~/.ssh/config.

PUMICE_SSH is the command to use, `ssh` by default: `PUMICE_SSH="ssh -F other_config -i key"`.
PUMICE_REMOTE_PYTHON is the target's Python, `python3` by default; for one of a virtual environment below the home
folder there, `PUMICE_REMOTE_PYTHON=venv/bin/python`.
"""

import os
import re
import shlex
from typing import final

from pumice.cost.remote.transport import Device
from pumice.errors import BadInput, CheckFailed

# Never a question, since nobody may be there to answer it, and an end within half a minute when the line is dead.
OPTIONS = ("BatchMode=yes", "ConnectTimeout=10", "ServerAliveInterval=10", "ServerAliveCountMax=3")
UNREACHED = 255  # ssh's own exit status when there is no connection; any other is the target's

# What ssh says, in part -> what is wrong and how to mend it.  OpenSSH does not translate its messages.
_REASONS = {
    "Could not resolve hostname": "there is no host of this name; check its spelling, or name it in ~/.ssh/config",
    "Permission denied": "it refuses your key; add it there with `ssh-copy-id`, or name the right one in ~/.ssh/config",
    "REMOTE HOST IDENTIFICATION HAS CHANGED": "its host key has changed; if you know why, mend ~/.ssh/known_hosts",
    "Host key verification failed": "its host key is not known yet; run ssh once by hand and compare the key",
    "Connection refused": "no ssh server answers there; start one, or give its port as in ssh:HOST:PORT",
    "timed out": "it does not answer; check that it is on and in this network",
    "No route to host": "it cannot be reached; check that it is on and in this network",
    "Network is unreachable": "it cannot be reached; check that it is on and in this network",
    "Bad configuration option": "ssh does not like its configuration; run ssh by hand to see why",
}


@final
class Ssh(Device):
    """`HOST`, `USER@HOST`, `HOST:PORT` or a Host of ~/.ssh/config."""

    def __init__(self, where: str) -> None:
        """
        Raises:
            BadInput: the address cannot be read.
        """
        super().__init__(f"ssh:{where}", os.environ.get("PUMICE_REMOTE_PYTHON") or "python3")
        found = re.fullmatch(r"((?:[^@\s:]+@)?)(\[[^\]\s]+\]|[^@\s:\[\]]+)(?::(\d+))?", where)
        if found is None or where.startswith("-"):
            raise BadInput(f"no host {where!r}; write ssh:HOST or ssh:USER@HOST:PORT, [ ] around an IPv6 address")
        user, host, port = found.groups()
        self.target = user + host.strip("[]")
        self.port = ("-p", port) if port else ()

    def command(self, program: str) -> list[str]:
        """Ssh, without a terminal there."""
        options = [word for option in OPTIONS for word in ("-o", option)]
        ssh = shlex.split(os.environ.get("PUMICE_SSH") or "ssh")
        return [*ssh, "-T", *options, *self.port, "--", self.target, program]

    def trouble(self, code: int, said: str) -> BadInput | CheckFailed:
        """By what ssh said, and its exit status."""
        if code == UNREACHED:
            for part, reason in _REASONS.items():
                if part in said:
                    return BadInput(f"{self.address}: {reason}")
        if code in (126, 127):
            return BadInput(
                f"{self.address} has no {self.python}; install Python 3.11 or newer there, or name it in "
                "PUMICE_REMOTE_PYTHON"
            )
        last = said.rpartition("\n")[2] or f"exit status {code}"
        return CheckFailed(
            f"the connection to {self.address} was lost before the answer came ({last[:200]}); try again"
        )
