"""Several worker processes of one search on this machine."""

import multiprocessing
import os
import sys
import time
from collections.abc import Iterator
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from pumice.errors import BadInput, CheckFailed
from pumice.search.study.config import SearchConfig
from pumice.search.study.study import Judged, Study

LOOK_S = 0.5
PATIENCE_S = 60.0  # for the end of workers that were asked to stop


def together(config: SearchConfig, out: Path, study: Study, url: str | None) -> Iterator[Judged]:
    """Start the workers, yield what they finish, and wait for their end.

    A worker that dies is not replaced; the others judge what it had.

    Raises:
        BadInput: a worker was refused something, which the others would be too.
        CheckFailed: all died.
        KeyboardInterrupt: on Ctrl-C, when the workers have given their trials back.
    """
    spawn = multiprocessing.get_context("spawn")
    threads = max(1, len(os.sched_getaffinity(0)) // config.workers) if hasattr(os, "sched_getaffinity") else 1
    crew: list[tuple[Any, Connection]] = []
    seen = {one.trial.number for one in study.judged()}
    try:
        for _ in range(config.workers):
            ear, mouth = spawn.Pipe(duplex=False)
            process = spawn.Process(target=_worker, args=(out, config.to_json(), url, threads, mouth))
            process.start()
            mouth.close()
            crew.append((process, ear))
        while True:
            living = [process for process, _ in crew if process.is_alive()]
            for one in study.judged():
                if one.trial.number not in seen:
                    seen.add(one.trial.number)
                    yield one
            for process, ear in crew:
                if (sentence := _heard(process, ear)) is not None:
                    raise BadInput(sentence)
            if not living:
                break
            time.sleep(LOOK_S)
        if all(process.exitcode for process, _ in crew):
            codes = ", ".join(str(process.exitcode) for process, _ in crew)
            raise CheckFailed(f"every worker died (exit codes {codes}); go on with `pumice search --resume {out}`")
    finally:
        for process, _ in crew:
            if process.is_alive():
                process.terminate()
        until = time.monotonic() + PATIENCE_S
        for process, ear in crew:
            process.join(max(0.0, until - time.monotonic()))
            ear.close()


def _heard(process: Any, ear: Connection) -> str | None:
    try:
        return str(ear.recv()) if not process.is_alive() and ear.poll() else None
    except EOFError:
        return None


def _worker(out: Path, config: dict[str, Any], url: str | None, threads: int, mouth: Connection) -> None:
    """One process.  It ends with 0, 2 after a refusal that the parent says, 1 after an error, 130 when interrupted."""
    os.environ.setdefault("OMP_NUM_THREADS", str(threads))
    from pumice.search.study.methods import searcher_of
    from pumice.search.study.run import open_built, terminated
    from pumice.search.study.work import work

    own, parent = SearchConfig.from_json(config), os.getppid()
    try:
        with terminated():
            study, built = open_built(own, out, url)
            searcher = searcher_of(own, built.problem, out)
            # A worker whose parent is gone has nobody who would stop it.
            judged = work(
                study,
                searcher,
                built.objective,
                own.trials,
                time_s=own.time_s,
                over=lambda: os.getppid() != parent,
            )
            for _ in judged:
                pass
            study.storage.close()
    except KeyboardInterrupt:
        sys.exit(130)
    except BadInput as error:
        mouth.send(str(error))
        sys.exit(2)
