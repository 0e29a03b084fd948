"""Quiet around libraries that print."""

import contextlib
import logging
import os
import sys
import warnings
from collections.abc import Iterator


@contextlib.contextmanager
def silenced() -> Iterator[None]:
    """Swallow all that is printed, by C++ too, and warnings and log lines; what is raised still comes through.

    The streams are the process's own, so what other threads print meanwhile is lost too.
    """
    before = logging.root.manager.disable
    sys.stdout.flush()
    sys.stderr.flush()
    with contextlib.ExitStack() as stack:
        sink = stack.enter_context(open(os.devnull, "w", encoding="utf-8"))
        for number in (1, 2):
            with contextlib.suppress(OSError):  # a process may have no such stream
                kept = os.dup(number)
                stack.callback(os.close, kept)
                stack.callback(os.dup2, kept, number)
                os.dup2(sink.fileno(), number)
        stack.enter_context(contextlib.redirect_stdout(sink))
        stack.enter_context(contextlib.redirect_stderr(sink))
        stack.enter_context(warnings.catch_warnings())
        warnings.simplefilter("ignore")
        logging.disable(logging.WARNING)
        stack.callback(logging.disable, before)
        yield
