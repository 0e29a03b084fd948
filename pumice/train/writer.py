"""The files of a run in an order that a kill cannot harm, on a disk that may be full for a while."""

import sys
from pathlib import Path

from pumice.errors import BadInput, CheckFailed, reason_of
from pumice.files import write_bytes
from pumice.train.latest import Latest
from pumice.train.state import State


class Writer:
    """Weights and metrics first, the state last: a resumed run does again what the state does not know.

    What the disk refuses waits in memory, and the state with it; training goes on from save to save.

    Args:
        out: the run folder.
        latest: its state.
        saved: the step of the state that is there.
    """

    def __init__(self, out: Path, latest: Latest, saved: int = 0) -> None:
        self.out, self.latest, self.saved = out, latest, saved
        self.waiting: dict[str, bytes] = {}
        self.failure = ""

    def put(self, name: str, content: bytes) -> None:
        """A file to write with the next state."""
        self.waiting[name] = content

    def save(self, state: State) -> None:
        """Write the files that wait, then the state; a refusal of the disk is a warning."""
        name = ""
        try:
            for name in list(self.waiting):
                write_bytes(self.out / name, self.waiting[name])
                del self.waiting[name]
            name = self.latest.path.name
            self.latest.write(state)
        except (OSError, BadInput) as error:
            reason = reason_of(error) if isinstance(error, OSError) else str(error)
            self.failure = f"{self.out / name} cannot be written: {reason}"
            unsaved = f"{state['step'] - self.saved} steps are not saved"
            print(f"warning: {self.failure}; training goes on, {unsaved}", file=sys.stderr, flush=True)
            return
        self.failure, self.saved = "", state["step"]

    def check(self) -> None:
        """See that the last save has succeeded.

        Raises:
            CheckFailed: it has not.
        """
        if self.failure:
            mend = f"make room there, then go on from step {self.saved} with `pumice train --resume {self.out}`"
            raise CheckFailed(f"{self.failure}; {mend}")
