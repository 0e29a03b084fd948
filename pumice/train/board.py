"""The TensorBoard log of a run: its history, in TensorBoard's own records.

TensorBoard's writer works in a thread of its own, whose traceback nobody can keep from the user when the disk is full;
an epoch has four numbers, which are written at once.
"""

import io
import os
import time
from contextlib import suppress
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

VERSION = "brain.Event:2"  # of the format; every file begins with it


class Board:
    """Appends the rows of a history that it has not written yet.

    A process begins a file of its own, with the whole history, and tells TensorBoard to forget those before it: a
    killed process may have logged epochs that are done again.

    Args:
        folder: where the files are.
        columns: the numbers of a row that are shown, where it has them; `val_*` is every one that begins so.
    """

    def __init__(self, folder: Path, columns: tuple[str, ...]) -> None:
        self.folder, self.columns = folder, columns
        self.file: Path | None = None
        self.written = 0

    def write(self, history: list[dict[str, Any]], began: float) -> None:
        """Append what is new.  A disk that refuses it is asked again next time: metrics.csv is the record, not this.

        Args:
            history: a row per epoch, with its `epoch` and the `seconds` trained by then.
            began: seconds since 1970 that the first second of training counts from.
        """
        new = history[self.written :]
        if not new:
            return
        file = self.file or self.folder / f"events.out.tfevents.{time.time_ns()}"  # TensorBoard reads by name
        content = self._records(new, began)
        with suppress(OSError):
            self.folder.mkdir(exist_ok=True)
            size = file.stat().st_size if file.exists() else 0
            try:
                with file.open("ab") as opened:
                    opened.write(content)
            except OSError:
                os.truncate(file, size)  # nothing behind half a record could be read
                raise
            self.file, self.written = file, len(history)

    def _records(self, rows: list[dict[str, Any]], began: float) -> bytes:
        from tensorboard.compat.proto.event_pb2 import Event, SessionLog
        from tensorboard.compat.proto.summary_pb2 import Summary
        from tensorboard.summary.writer.record_writer import RecordWriter

        events = []
        if self.file is None:
            events.append(Event(wall_time=began, file_version=VERSION))
            events.append(Event(wall_time=began, step=1, session_log=SessionLog(status=SessionLog.START)))
        for row in rows:
            shown = [name for column in self.columns for name in row if fnmatchcase(name, column)]
            values = [Summary.Value(tag=name, simple_value=row[name]) for name in shown]
            events.append(Event(wall_time=began + row["seconds"], step=row["epoch"], summary=Summary(value=values)))
        content = io.BytesIO()
        writer = RecordWriter(content)
        for event in events:
            writer.write(event.SerializeToString())
        return content.getvalue()
