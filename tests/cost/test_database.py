"""Measurements are found again under their own key only, and a broken database never stops a command."""

import logging
import os
import sqlite3
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from pumice.cost import database
from pumice.cost.database import lookup, measurement_key, store
from pumice.cost.timing import Timing
from pumice.files import cache_folder
from pumice.models.manifest import ModelConfig

TIMING = Timing(
    name="net",
    runtime="onnxruntime",
    device="cpu",
    threads=1,
    batch=1,
    dtype="float32",
    input_size=(3, 96, 96),
    repeats=40,
    passes_per_sample=1,
    p50_ms=1.5,
    p90_ms=1.7,
    cpu_p50_ms=1.4,
    ci95=(1.4, 1.6),
    cpu_ci95=(1.3, 1.5),
    busy=False,
)


@pytest.fixture(autouse=True)
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where this test's measurements are, in a folder of its own that does not exist yet."""
    monkeypatch.setenv("PUMICE_CACHE", str(tmp_path / "cache"))
    database._warn.cache_clear()
    return tmp_path / "cache" / "measurements.sqlite"


def test_store_and_look_up(file: Path) -> None:
    assert lookup("k") is None
    store(TIMING, "k")
    store(replace(TIMING, p50_ms=2.5), "k")
    store(replace(TIMING, p50_ms=9.0), "other")
    found = lookup("k")
    assert found == replace(TIMING, p50_ms=2.5)
    assert file.exists()


def test_busy_measurements_are_kept_but_not_offered() -> None:
    store(TIMING, "k")
    store(replace(TIMING, busy=True, p50_ms=7.0), "k")
    quiet, newest = lookup("k"), lookup("k", allow_busy=True)
    assert quiet
    assert quiet.p50_ms == 1.5
    assert newest
    assert newest.p50_ms == 7.0


def test_old_measurements_are_not_offered(monkeypatch: pytest.MonkeyPatch) -> None:
    store(TIMING, "k")
    now = database.time.time()
    monkeypatch.setattr(database.time, "time", lambda: now + 29 * 86400)
    assert lookup("k") == TIMING
    monkeypatch.setattr(database.time, "time", lambda: now + 31 * 86400)
    assert lookup("k") is None
    assert lookup("k", max_age_days=40) == TIMING


def test_a_key_names_everything_that_changes_speed(monkeypatch: pytest.MonkeyPatch) -> None:
    from pumice.cost import machine

    model = ModelConfig("net", num_classes=5, options={"width": 0.5, "act": "HS"})
    given = {"runtime": "onnxruntime", "input_size": (3, 96, 96)}
    key = measurement_key(model, **given)  # type: ignore[arg-type]
    assert key == measurement_key(replace(model, options={"act": "HS", "width": 0.5}), **given)  # type: ignore[arg-type]
    others = [
        measurement_key(replace(model, num_classes=6), **given),  # type: ignore[arg-type]
        measurement_key(replace(model, options={"width": 1.0}), **given),  # type: ignore[arg-type]
        measurement_key(replace(model, padding="same"), **given),  # type: ignore[arg-type]
        measurement_key(model, runtime="openvino", input_size=(3, 96, 96)),
        measurement_key(model, runtime="onnxruntime", input_size=(3, 96, 64)),
        measurement_key(model, **given, threads=2),  # type: ignore[arg-type]
        measurement_key(model, **given, batch=8),  # type: ignore[arg-type]
        measurement_key(model, **given, dtype="int8"),  # type: ignore[arg-type]
    ]
    monkeypatch.setattr(machine, "runtime_version", lambda runtime: "0.0.1")
    others.append(measurement_key(model, **given))  # type: ignore[arg-type]
    monkeypatch.undo()
    monkeypatch.setattr(machine, "machine_key", lambda: "another")
    others.append(measurement_key(model, **given))  # type: ignore[arg-type]
    assert len({key, *others}) == 1 + len(others)


def test_a_damaged_database_is_set_aside(file: Path, caplog: pytest.LogCaptureFixture) -> None:
    file.parent.mkdir()
    file.write_bytes(b"this is not a database, however long one reads on " * 100)
    store(TIMING, "k")
    assert lookup("k") == TIMING
    assert file.with_suffix(".damaged").read_bytes().startswith(b"this is not")
    assert len(caplog.records) == 1
    assert "damaged" in caplog.text


def test_a_database_that_cannot_be_made_is_ignored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("PUMICE_CACHE", str(tmp_path / "file" / "cache"))
    for _ in range(3):
        store(TIMING, "k")
        assert lookup("k") is None
    assert len(caplog.records) == 1, "one sentence, not one a look-up"
    assert "\n" not in caplog.records[0].getMessage()


def test_a_locked_database_is_ignored(
    file: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    store(TIMING, "k")
    monkeypatch.setattr(database, "BUSY_TIMEOUT_S", 0.05)
    other = sqlite3.connect(file)
    other.execute("BEGIN EXCLUSIVE")
    assert lookup("k") is None
    assert "locked" in caplog.text
    other.close()
    assert lookup("k") == TIMING
    assert not file.with_suffix(".damaged").exists()


def test_an_older_schema_starts_afresh(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store(TIMING, "k")
    monkeypatch.setattr(database, "SCHEMA", database.SCHEMA + 1)
    assert lookup("k") is None
    store(replace(TIMING, p50_ms=2.5), "k")
    assert lookup("k") == replace(TIMING, p50_ms=2.5)
    with sqlite3.connect(file) as connection:
        assert connection.execute("SELECT count(*) FROM measurements").fetchone() == (1,)


def test_a_newer_database_is_left_alone(file: Path, caplog: pytest.LogCaptureFixture) -> None:
    store(TIMING, "k")
    with sqlite3.connect(file) as connection:
        connection.execute("PRAGMA user_version = 99")
    before = file.read_bytes()
    for _ in range(2):
        assert lookup("k") is None
        store(TIMING, "k")
    assert file.read_bytes() == before
    assert [record.getMessage() for record in caplog.records] == [
        f"measurements are not kept, because {file} is of a newer Pumice; PUMICE_CACHE names another folder"
    ]


@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="no users here")
def test_a_database_that_cannot_be_written_is_read(
    file: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    store(TIMING, "k")
    connect = sqlite3.connect

    def refuse(name: object, **given: object) -> sqlite3.Connection:
        """What a folder without write access does; root, who often runs tests, may write everywhere."""
        if "mode=ro" not in str(name):
            raise sqlite3.OperationalError("attempt to write a readonly database")
        return connect(name, **given)  # type: ignore[call-overload]

    monkeypatch.setattr(database.sqlite3, "connect", refuse)
    store(replace(TIMING, p50_ms=2.5), "k")
    assert lookup("k") == TIMING
    assert len(caplog.records) == 1
    assert "readonly" in caplog.text


def test_many_at_once() -> None:
    store(TIMING, "a")
    store(replace(TIMING, busy=True), "b")
    assert database.lookup_all(["a", "b", "c"]) == {"a": TIMING}
    assert set(database.lookup_all(["a", "b", "c"], allow_busy=True)) == {"a", "b"}


def test_the_newest_of_everything_measured_here(monkeypatch: pytest.MonkeyPatch) -> None:
    from pumice.cost import machine

    def key(name: str) -> str:
        return measurement_key(ModelConfig(name), runtime="onnxruntime", input_size=(3, 96, 96))

    store(TIMING, key("net"))
    store(replace(TIMING, name="other"), key("other"))
    store(replace(TIMING, p50_ms=2.5), key("net"))
    with monkeypatch.context() as patch:
        patch.setattr(machine, "machine_key", lambda: "another")
        store(replace(TIMING, name="elsewhere"), key("elsewhere"))
    assert [(t.name, t.p50_ms) for t in database.newest()] == [("other", 1.5), ("net", 2.5)]
    assert database.newest(max_age_days=-1) == []


def test_a_row_that_cannot_be_read_is_a_miss(file: Path) -> None:
    store(TIMING, "k")
    for row in ('{"name": "net"}', "not json", "[]"):
        with sqlite3.connect(file) as connection:
            connection.execute("UPDATE measurements SET timing = ?", (row,))
        assert lookup("k") is None


def test_two_writers_at_once(file: Path) -> None:
    code = (
        "import sys\n"
        "from pumice.cost.database import store\n"
        "from pumice.cost.timing import Timing\n"
        f"timing = Timing.from_json({TIMING.to_json()!r})\n"
        "for i in range(50): store(timing, sys.argv[1] + str(i))\n"
    )
    writers = [
        subprocess.Popen([sys.executable, "-c", code, name], stderr=subprocess.PIPE, env=dict(os.environ))
        for name in "ab"
    ]
    assert [writer.communicate()[1] for writer in writers] == [b"", b""]
    with sqlite3.connect(file) as connection:
        assert connection.execute("SELECT count(DISTINCT key) FROM measurements").fetchone() == (100,)


def test_the_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert cache_folder() == tmp_path / "cache"
    monkeypatch.delenv("PUMICE_CACHE")
    monkeypatch.setattr("pumice.files.sys.platform", "linux")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert cache_folder() == tmp_path / "xdg" / "pumice"
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert cache_folder() == Path.home() / ".cache" / "pumice"


def test_measuring_records_say_nothing_by_default(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        store(TIMING, "k")
        lookup("k")
    assert not caplog.records
