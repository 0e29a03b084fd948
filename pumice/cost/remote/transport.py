"""What every device does with a request: one connection takes it there, with its files, and brings the answer back."""

import json
import subprocess
import tempfile
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from shutil import copyfileobj
from threading import Thread
from typing import IO, Any

from pumice.cost.machine import Machine
from pumice.cost.remote import boot
from pumice.cost.remote.archive import place, write_archive
from pumice.cost.remote.runner import Item
from pumice.cost.timing import Timing
from pumice.deploy.carried import model_file
from pumice.deploy.op_times import OpTime
from pumice.deploy.session import known
from pumice.errors import BadInput, CheckFailed
from pumice.progress import LINE, status, track

# What the target's shell is told: read a program of so many bytes and run it.  No shell has an opinion on this quoting.
_START = '-c "import sys;exec(sys.stdin.buffer.read(int(sys.stdin.buffer.readline())))"'


class Device(ABC):
    """A machine that runs a shell command for us, with its standard streams connected to ours.

    address: as the user wrote it.  python: shell words that start its Python, 3.11 or newer.
    """

    def __init__(self, address: str, python: str) -> None:
        self.address = address
        self.python = python
        self._machine: Machine | None = None

    @abstractmethod
    def command(self, program: str) -> list[str]:
        """The local command that runs a shell program on the device."""

    @abstractmethod
    def trouble(self, code: int, said: str) -> BadInput | CheckFailed:
        """Why the connection came to nothing.

        Args:
            code: exit status of the local command.
            said: its standard error and the target's, progress left out.
        """

    @property
    def machine(self) -> Machine:
        """Which machine it is, as its last answer said; it is asked when there was none."""
        if self._machine is None:
            self.run({"job": "machine"})
        assert self._machine is not None
        return self._machine

    def benchmark(
        self,
        models: Sequence[str | Path],
        input_size: tuple[int, int, int] | None = None,
        *,
        runtime: str | Sequence[str] = "auto",
        threads: int | Sequence[int] = 1,
        batch: int | Sequence[int] | None = None,
        **settings: Any,
    ) -> list[Timing]:
        """Measure models there, every combination interleaved with every other.

        Args:
            models: files, and names or checkpoints, which are written as .onnx here first.
            input_size: (C, H, W); each model's own by default.
            runtime: "onnxruntime", "openvino", several, or "auto": the one a file was made for, else the first there.
            threads, batch: of each pass, one number or several; 1 by default.
            settings: time_limit_s, precision, together, single_stream and seed of `time_items` in runner.py.

        Returns:
            A Timing for each model, runtime, number of threads and batch, the last changing fastest.

        Raises:
            BadInput: a model or runtime that cannot be measured, a device that cannot be reached or lacks a package.
            CheckFailed: the connection was lost.
        """
        runtimes = [runtime] if isinstance(runtime, str) else list(runtime)
        self._check(runtimes)
        counts = [threads] if isinstance(threads, int) else threads
        batches = [batch or 1] if batch is None or isinstance(batch, int) else batch
        items = []
        with tempfile.TemporaryDirectory(prefix="pumice-", ignore_cleanup_errors=True) as folder:
            for i, model in enumerate(track(models, "writing")):
                files = {
                    images: _file(model, input_size, images, Path(folder, f"{i}-{images}.onnx")) for images in batches
                }
                items += [
                    Item(str(files[images]), str(model), name, count, images, input_size)
                    for name in runtimes
                    for count in counts
                    for images in batches
                ]
            return self.time(items, **settings)

    def time(self, items: Sequence[Item], **settings: Any) -> list[Timing]:
        """Measure files there; arguments, result and errors as `pumice.cost.remote.runner.time_items`."""
        return [Timing.from_json(value) for value in self._ask("benchmark", items, settings)]

    def nodes(self, items: Sequence[Item], **settings: Any) -> list[list[OpTime]]:
        """Profile files there; arguments, result and errors as `pumice.cost.remote.runner.time_nodes`."""
        return [[OpTime(**op) for op in ops] for ops in self._ask("nodes", items, settings)]

    def _ask(self, job: str, items: Sequence[Item], settings: dict[str, Any]) -> Any:
        if not items:
            raise BadInput("nothing to measure: give at least one model")
        self._check([item.runtime for item in items])
        files = list(dict.fromkeys(item.file for item in items))
        places = {file: place(i, Path(file)) for i, file in enumerate(files)}
        sent = [replace(item, file=places[item.file]).to_json() for item in items]
        return self.run({"job": job, "items": sent, **settings}, [Path(file) for file in files])["result"]

    def _check(self, runtimes: Sequence[str]) -> None:
        """Refuse runtimes before anything is exported or sent."""
        if "eager" in [known(name) for name in runtimes if name != "auto"]:
            raise BadInput(f"{self.address} runs files, and eager needs torch; choose onnxruntime or openvino")
        if "native" in runtimes:
            raise BadInput(f"{self.address} cannot run code compiled for this machine; choose onnxruntime or openvino")

    def run(self, request: dict[str, Any], files: Sequence[Path] = ()) -> dict[str, Any]:
        """Have a request answered; what can be asked, and what comes back, is in `pumice.cost.remote.runner`.

        Raises:
            BadInput: the device cannot be reached, lacks a package, or refuses the request.
            CheckFailed: the connection was lost, or what was asked came to nothing.
        """
        with tempfile.TemporaryFile() as archive:
            write_archive(archive, request, files)
            code, out, said = self._exchange(archive)
        lines = [line for line in out.splitlines() if line.startswith(boot.ANSWER)]
        if not lines:
            raise self.trouble(code, said)
        answer: dict[str, Any] = json.loads(lines[-1].removeprefix(boot.ANSWER))
        self._complain(answer, files)
        self._machine = Machine.from_json(answer["machine"])
        return answer

    def _exchange(self, archive: IO[bytes]) -> tuple[int, str, str]:
        """Send boot program and archive, wait for the end; exit status, standard output, standard error.

        Standard input is closed last: its end tells the target that nobody waits any more.
        """
        command = self.command(f"{self.python} {_START}")
        pipe = subprocess.PIPE
        try:
            process = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe)
        except OSError as error:
            raise BadInput(f"{self.address} needs the program {command[0]}, which is not installed here") from error
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        said: deque[str] = deque(maxlen=50)
        with status(self.address) as show:
            threads = [
                Thread(target=_send, args=(process.stdin, archive), daemon=True),
                Thread(target=_listen, args=(process.stderr, said, show), daemon=True),
            ]
            try:
                for thread in threads:
                    thread.start()
                out = process.stdout.read().decode(errors="replace")
                code = process.wait()
            finally:
                process.kill()
                process.wait()
                for thread in threads:
                    thread.join()
                for stream in (process.stdin, process.stdout, process.stderr):
                    with suppress(BrokenPipeError):
                        stream.close()
        return code, out, "\n".join(said)

    def _complain(self, answer: dict[str, Any], files: Sequence[Path]) -> None:
        """Raise what went wrong on the target, with this machine's names of the files."""
        if "needed" in answer:
            raise BadInput(
                f"{self.address} has Python {answer['python']}, and {answer['needed']} is needed; install a newer one "
                "there and name it in PUMICE_REMOTE_PYTHON"
            )
        if "missing" in answer:
            absent = answer["missing"]
            raise BadInput(
                f"{self.address} has no {' and no '.join(absent)}; run `pip install {' '.join(absent)}` there"
            )
        for key, error in (("refused", BadInput), ("failed", CheckFailed)):
            if key in answer:
                sentence = answer[key]
                for i, file in enumerate(files):
                    sentence = sentence.replace(place(i, file), str(file))
                raise error(f"{self.address}: {sentence}")


def _send(stream: IO[bytes], archive: IO[bytes]) -> None:
    program = Path(boot.__file__).read_bytes()
    with suppress(OSError):  # the other side is gone; what it said is the reason
        stream.write(b"%d\n" % len(program) + program)
        stream.write(b"%d\n" % archive.tell())
        archive.seek(0)
        copyfileobj(archive, stream)
        stream.flush()


def _listen(stream: IO[bytes], said: "deque[str]", show: Callable[[str], None]) -> None:
    for line in stream:
        text = line.decode(errors="replace").strip()
        if text.startswith(LINE):
            show(text.removeprefix(LINE))
        elif text:
            said.append(text)


def _file(model: str | Path, input_size: tuple[int, int, int] | None, batch: int, path: Path) -> Path:
    """The model's own file, else one that is written to `path`."""
    own = model_file(model)
    if own is not None:
        return own
    from pumice.deploy.direct import write_network
    from pumice.deploy.network import load, size_of

    net, manifest = load(model)
    write_network(net, path, size_of(net, manifest, input_size), batch=batch, manifest=manifest)
    return path
