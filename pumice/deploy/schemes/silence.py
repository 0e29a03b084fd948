"""Toolkits kept from printing and logging."""

import contextlib
import io
import logging
import os
import warnings
from collections.abc import Iterator


@contextlib.contextmanager
def silent(*, native: bool = False) -> Iterator[None]:
    """Nothing on standard output, no warnings, no log lines below errors; what is raised still comes through.

    native: nothing on standard error either, nor from native code; our own progress bars are hidden as well.
    """
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with contextlib.ExitStack() as stack:
            stack.enter_context(contextlib.redirect_stdout(io.StringIO()))
            if native:
                stack.enter_context(contextlib.redirect_stderr(io.StringIO()))
                stack.enter_context(_streams_dropped())
            stack.enter_context(warnings.catch_warnings())
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)


@contextlib.contextmanager
def _streams_dropped() -> Iterator[None]:
    """What is written to the process's own output and error streams is lost."""
    kept = {number: os.dup(number) for number in (1, 2)}
    sink = os.open(os.devnull, os.O_WRONLY)
    try:
        for number in kept:
            os.dup2(sink, number)
        yield
    finally:
        for number, copy in kept.items():
            os.dup2(copy, number)
            os.close(copy)
        os.close(sink)
