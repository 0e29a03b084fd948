"""Ctrl-C and SIGTERM during training: the step is finished and the state saved before the program ends."""

import os
import signal
import threading
from types import FrameType, TracebackType
from typing import Any

from pumice.train.launch import is_first_process

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interrupted(BaseException):
    """The user asked for the end.  Not an Exception, so that nothing on the way handles it."""


class Interrupt:
    """While in use, the first signal only sets `asked` if `patient`; any other one raises Interrupted at once.

    Lightning meets KeyboardInterrupt with sys.exit(1), in the middle of a step; so it never sees one.  Worker
    processes inherit the handler and ignore the signal: a terminal sends Ctrl-C to them as well.  Of several processes
    that train together, others than the first end instead of raising.
    """

    def __init__(self) -> None:
        self.asked = self.patient = False
        self._process = os.getpid()
        self._before: dict[int, Any] = {}

    def _handle(self, signum: int, frame: FrameType | None) -> None:
        if os.getpid() != self._process:
            return
        if self.patient and not self.asked:
            self.asked = True
            return
        if not is_first_process():
            os._exit(0)  # it has nothing to save; an error in the middle of an import could be anything
        self.asked = True  # also for the end of the first step: Python swallows what is raised within a `__del__`
        raise Interrupted

    def __enter__(self) -> "Interrupt":
        self._before = {number: signal.getsignal(number) for number in SIGNALS}
        self.listen()
        return self

    def listen(self) -> None:
        """Hear the signals, whoever heard them before."""
        if threading.current_thread() is threading.main_thread():
            for number in SIGNALS:
                signal.signal(number, self._handle)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if threading.current_thread() is threading.main_thread():
            for number, handler in self._before.items():
                signal.signal(number, handler)
