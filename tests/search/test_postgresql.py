"""Four worker processes on one database, one of them killed while it judges: on PostgreSQL and on SQLite."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections import Counter
from pathlib import Path

import pytest

from pumice.errors import BadInput
from pumice.search.objective import Called
from pumice.search.searcher import Random
from pumice.search.study.storage import Storage
from pumice.search.study.study import open_study
from pumice.search.study.work import work

TRIALS = 12


def programs() -> Path | None:
    """Where initdb and postgres lie: Debian keeps them out of PATH."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    named = shutil.which("initdb")
    return found[-1].parent if found else Path(named).parent if named else None


def user() -> str | None:
    """Whom to start the server as; initdb refuses root.  None is this user."""
    import pwd

    if os.geteuid() != 0:
        return None
    known = {one.pw_name for one in pwd.getpwall()}
    return next(name for name in ("postgres", "nobody") if name in known)


@pytest.fixture(scope="module")
def postgresql():
    """URL of a database of our own server, in a temporary folder, that listens on localhost alone."""
    found = programs()
    if found is None:
        pytest.skip("PostgreSQL is not installed")
    who = user()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    # Not below tmp_path, which another user may not enter; short, for the name of the server's socket.
    folder = Path(tempfile.mkdtemp(prefix="pumice-pg-"))
    as_user = {}
    if who is not None:
        import pwd

        entry = pwd.getpwnam(who)
        as_user = {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}
        os.chown(folder, entry.pw_uid, entry.pw_gid)
    data = folder / "data"
    environment = {"PATH": os.environ["PATH"], "LC_ALL": "C", "HOME": str(folder)}
    made = subprocess.run(
        [found / "initdb", "-D", data, "-U", "pumice", "-A", "trust", "--no-sync"],
        **as_user, env=environment, cwd=folder, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert made.returncode == 0, made.stderr
    options = ["-c", "listen_addresses=127.0.0.1", "-c", f"unix_socket_directories={folder}", "-c", "fsync=off"]
    server = subprocess.Popen(
        [found / "postgres", "-D", data, "-p", str(port), *options],
        **as_user, env=environment, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        for line in server.stderr:
            if "ready to accept connections" in line:
                break
        else:
            pytest.fail("the server did not start")
        drain = threading.Thread(target=server.stderr.read, daemon=True)
        drain.start()
        yield f"postgresql://pumice@127.0.0.1:{port}/postgres"
    finally:
        server.send_signal(signal.SIGINT)  # fast shutdown
        server.wait(timeout=20)
        shutil.rmtree(folder)


def worker(toy, url, seconds):
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, toy.__file__, url, "shared", str(TRIALS), seconds, "60"]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, env=environment, stdin=pipe, stdout=pipe, stderr=pipe, text=True)


def survives_a_kill(toy, url):
    """Four workers; the first is killed in the middle of its second trial."""
    victim, *others = [worker(toy, url, seconds) for seconds in ("0.1,60", "0.2", "0.2", "0.2")]
    for one in (victim, *others):
        assert one.stdout.readline() == "ready\n"
    for one in (victim, *others):  # so that all of them take part
        one.stdin.write("go\n")
        one.stdin.flush()
    said = []
    for line in victim.stdout:
        said.append(line.split())
        if [one[0] for one in said] == ["judges", "finished", "judges"]:
            victim.kill()
            break
    victim.wait()
    assert victim.returncode == -signal.SIGKILL
    printed = [one.communicate(timeout=60) for one in others]
    assert [one.returncode for one in others] == [0, 0, 0], printed
    said += [line.split() for out, _ in printed for line in out.splitlines()]
    study = open_study(toy.problem(), url, "shared", {"seed": 0})
    judged = study.judged()
    study.storage.close()
    trials = [one.trial for one in judged]
    assert [one.number for one in trials] == list(range(TRIALS)), "none lost, none doubled"
    assert len({one.choice for one in trials}) == TRIALS, "each choice is complete exactly once"
    assert all(
        one.accuracy == toy.accuracy(one.choice) and not one_judged.failed
        for one, one_judged in zip(trials, judged, strict=True)
    )
    victims = tuple(map(int, next(one[1:] for one in reversed(said[:3]) if one[0] == "judges")))
    asked = Counter(tuple(map(int, one[1:])) for one in said if one[0] == "judges")
    assert asked == {**dict.fromkeys((one.choice for one in trials), 1), victims: 2}, "only the killed one's is retried"
    numbers = Counter(int(one[1]) for one in said if one[0] == "finished")
    assert numbers == dict.fromkeys(range(TRIALS), 1)
    assert len({one.worker for one in judged}) > 2, "they took part"


def test_postgresql(toy, postgresql):
    survives_a_kill(toy, postgresql)


def test_sqlite(toy, tmp_path):
    survives_a_kill(toy, f"sqlite:///{tmp_path}/study.db")


def test_a_server_that_goes_away(toy, postgresql):
    """Runs last: other connections of the server are cut, which is waited out; then its database is not there."""
    study = open_study(toy.problem(), postgresql, "cut", {}, wait_s=10)

    def judge(choice):
        with other.optuna.engine.connect() as connection:
            connection.exec_driver_sql(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND datname <> ''"
            )
        return toy.accuracy(choice)

    other = Storage(postgresql)
    assert len(list(work(study, Random(study.problem, 0), Called(judge), 2))) == 2
    for one in (study.storage, other):
        one.close()
    with pytest.raises(BadInput, match=r'cannot be used: .*database "nowhere" does not exist'):
        Storage(postgresql.replace("/postgres", "/nowhere"), wait_s=0.1)
