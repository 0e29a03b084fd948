"""The latest good state of a run: `resume.pt`, and the one before it, `resume.previous.pt`."""

import sys
from pathlib import Path

from pumice.errors import BadInput
from pumice.train.state import Damaged, State, read_state, write_state

NAME, PREVIOUS = "resume.pt", "resume.previous.pt"


class Latest:
    """Reads and writes the two files of a run folder so that one of them is good at every instant.

    Writing takes three steps: the new state goes whole onto the disk under a scratch name, `resume.pt` becomes
    `resume.previous.pt`, and the new state becomes `resume.pt`.  A kill after the second step leaves the previous one
    alone.  A `resume.pt` that was found damaged is overwritten and takes no good file's place.
    """

    def __init__(self, out: Path) -> None:
        self.path, self.previous = out / NAME, out / PREVIOUS
        self._sound = True

    @property
    def exists(self) -> bool:
        """Whether the run has saved anything."""
        return self.path.exists() or self.previous.exists()

    def write(self, state: State) -> None:
        """Save a state.

        Raises:
            OSError: the disk does not take it; both files are as they were.
        """
        write_state(self.path, state, previous=self.previous if self._sound else None)
        self._sound = True

    def read(self) -> State | None:
        """The latest good state, None before the first one; where the latest is damaged, a sentence says so.

        Raises:
            BadInput: none is good.
        """
        found: list[str] = []
        for path in (self.path, self.previous):
            try:
                state = read_state(path)
            except FileNotFoundError:
                continue
            except Damaged as error:
                self._sound = self._sound and path != self.path
                found.append(str(error))
                continue
            if found:
                print(f"{found[0]}; going on from {path.name}, step {state['step']}", file=sys.stderr, flush=True)
            return state
        if not found:
            return None
        rest = f", and so is {self.previous.name}" if len(found) > 1 else ""
        files = " and ".join(path.name for path in (self.path, self.previous) if path.exists())
        raise BadInput(f"{found[0]}{rest}; remove {files} to start the run again")

    def discard_previous(self) -> None:
        """Free the space of the older state, which a finished run does not need."""
        self.previous.unlink(missing_ok=True)
