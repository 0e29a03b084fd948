"""The ways in which a command of Pumice ends without success."""

import errno


class BadInput(ValueError):
    """The caller gave something that cannot work.  The message is one sentence: the thing, then the mend.

    The command line prints it and ends with exit code 2.
    """


class CheckFailed(RuntimeError):
    """The work was done and its result is a no: nothing fits the budget, or a file does not verify.

    The command line prints it and ends with exit code 1.
    """


class Diverged(CheckFailed):
    """Training came to numbers that are not finite."""


def nearest(word: str, known: list[str]) -> str:
    """`"; did you mean 'x'?"` for the nearest known word, `""` when none is near."""
    from difflib import get_close_matches

    close = get_close_matches(word, known, n=1, cutoff=0.6)
    return f"; did you mean {close[0]!r}?" if close else ""


def reason_of(error: OSError) -> str:
    """Why the system refused, in words."""
    return "the disk is full" if error.errno == errno.ENOSPC else error.strerror or str(error)
