"""The user's C compiler, and what it makes of a source."""

import os
import shlex
import shutil
import subprocess
from pathlib import Path

from pumice.errors import BadInput

FLAGS = ("-std=gnu11", "-O3", "-ffp-contract=fast", "-fno-math-errno", "-fno-trapping-math")
"""No flag changes what arithmetic means but for products and sums in one rounding."""


def compiler() -> list[str]:
    """The command of the C compiler: $CC, else cc, gcc or clang.

    Raises:
        BadInput: there is none.
    """
    if chosen := os.environ.get("CC"):
        words = shlex.split(chosen)
        if words and shutil.which(words[0]):
            return words
        raise BadInput(f"no C compiler {chosen!r}, which is what CC says; set CC to one that is installed")
    for name in ("cc", "gcc", "clang"):
        if shutil.which(name):
            return [name]
    raise BadInput(
        "no C compiler; install gcc or clang (Debian: `apt install gcc`, macOS: `xcode-select --install`), or set CC"
    )


def compile_shared(source: Path, library: Path, *, flags: tuple[str, ...] = ("-march=native",)) -> None:
    """A shared library of a C file.

    Raises:
        BadInput: there is no compiler, or it refuses the file.
    """
    command = [*compiler(), *FLAGS, *flags, "-shared", "-fPIC", str(source), "-o", str(library), "-lm"]
    ran = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
    if ran.returncode:
        lines = ran.stderr.splitlines() or ["it stopped"]
        said = next((line for line in lines if "error" in line), lines[0])
        raise BadInput(f"{command[0]} cannot compile {source.name}: {said.strip()[:200]}")
