"""Limits are read exactly, and what cannot be a limit is refused in one sentence that shows a right one."""

import json
import math
import subprocess
import sys
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pumice.cost.budget import Budget, parse_count, parse_latency, parse_size, parse_time, write_limit
from pumice.errors import BadInput

Parse = Callable[[str, str], float]


@pytest.mark.parametrize(
    ("parse", "text", "value"),
    [
        (parse_latency, "2ms", 2.0),
        (parse_latency, "0.5 s", 500.0),
        (parse_latency, "800us", 0.8),
        (parse_latency, "800\u00b5s", 0.8),
        (parse_latency, "800\u03bcs", 0.8),
        (parse_latency, " .5ms ", 0.5),
        (parse_latency, "1e-3s", 1.0),
        (parse_latency, "2MS", 2.0),
        (parse_count, "60M", 60_000_000),
        (parse_count, "60000000", 60_000_000),
        (parse_count, "1.5G", 1_500_000_000),
        (parse_count, "2k", 2000),
        (parse_count, "2.3M", 2_300_000),
        (parse_size, "3MB", 3_000_000),
        (parse_size, "3 mb", 3_000_000),
        (parse_size, "512KB", 512_000),
        (parse_size, "1MiB", 1_048_576),
        (parse_size, "0.3MB", 300_000),
        (parse_size, "1.5KiB", 1536),
        (parse_time, "10m", 600.0),
        (parse_time, "90s", 90.0),
        (parse_time, "1h", 3600.0),
        (parse_time, "1h30m", 5400.0),
        (parse_time, "1h 30m 5s", 5405.0),
        (parse_time, "1.5min", 90.0),
    ],
)
def test_reads(parse: Parse, text: str, value: float) -> None:
    read = parse(text, "--limit")
    assert read == pytest.approx(value, rel=1e-12)
    assert isinstance(read, type(value))


@pytest.mark.parametrize("parse", [parse_latency, parse_count, parse_size, parse_time])
@pytest.mark.parametrize(
    "text",
    ["", "  ", "nan", "nanms", "inf", "-inf s", "x", "ms", "2 parsecs", "2ms 3", "1,5ms", "--5ms", "0x10", "1h2"],
)
def test_refuses_junk(parse: Parse, text: str) -> None:
    refused(parse, text)


@pytest.mark.parametrize(
    ("parse", "texts", "example"),
    [
        (parse_latency, ["2", "-2ms", "0ms", "-2", "1e400ms", "1e308s", "2m", "2Ms2"], "2ms"),
        (parse_count, ["-60M", "0", "1.5", "60m", "1e400", "60MB"], "60M"),
        (parse_size, ["3", "3M", "-3MB", "0MB", "0.1B", "1e400MB"], "3MB"),
        (parse_time, ["90", "-10m", "0s", "1h-30m", "30m1h", "1e999h", "5ms", "0h0m"], "10m"),
    ],
)
def test_refuses_the_unit_less_and_the_impossible(parse: Parse, texts: list[str], example: str) -> None:
    for text in texts:
        sentence = refused(parse, text)
        assert text in sentence
        assert example in sentence


def refused(parse: Parse, text: str) -> str:
    with pytest.raises(BadInput) as info:
        parse(text, "--limit")
    sentence = str(info.value)
    assert sentence.startswith("--limit ")
    assert "write " in sentence
    assert "\n" not in sentence
    return sentence


@given(st.text(max_size=12))
def test_any_text_is_read_or_refused(text: str) -> None:
    for parse in (parse_latency, parse_count, parse_size, parse_time):
        try:
            value = parse(text, "--limit")
        except BadInput:
            continue
        assert 0 < value < math.inf


def test_misses_are_those_above_the_limit() -> None:
    budget = Budget(max_latency_ms=2.0, max_madds=60_000_000, max_size_bytes=3_000_000)
    assert budget.misses(latency_ms=2.0, madds=60_000_000, params=10**9, size_bytes=None) == []
    late, large = budget.misses(latency_ms=3.0, madds=1, size_bytes=3_300_000)
    assert (late.name, late.limit, late.value, late.ratio) == ("max_latency_ms", 2.0, 3.0, 1.5)
    assert large.name == "max_size_bytes"
    assert large.ratio == pytest.approx(1.1)
    assert str(late) == "latency 3 ms is 1.5x the limit of 2 ms"
    assert str(large) == "file size 3.3 MB is 1.1x the limit of 3 MB"


def test_a_figure_that_is_not_a_number_is_a_miss() -> None:
    assert len(Budget(max_latency_ms=2.0).misses(latency_ms=math.nan)) == 1


def test_each_figure_meets_its_own_limit() -> None:
    budget = Budget(1.0, 1, 1, 1, 1)
    assert [str(miss).split(" ")[0] for miss in budget.misses(latency_ms=2, memory_bytes=2)] == ["latency", "peak"]
    names = [m.name for m in budget.misses(latency_ms=2, madds=2, params=2, size_bytes=2, memory_bytes=2)]
    assert names == list(budget.to_json())


def test_json_round_trip() -> None:
    budget = Budget(max_latency_ms=2.5, max_memory_bytes=4_000_000)
    assert budget.to_json() == {"max_latency_ms": 2.5, "max_memory_bytes": 4_000_000}
    assert Budget.from_json(json.loads(json.dumps(budget.to_json()))) == budget
    assert Budget.from_json({}) == Budget()


@pytest.mark.parametrize("value", [{"max_latency": 2}, {"max_latency_ms": "2"}, {"max_madds": 0}, {"max_params": -1}])
def test_bad_records_are_refused(value: dict[str, object]) -> None:
    with pytest.raises(BadInput):
        Budget.from_json(value)


@pytest.mark.parametrize("value", [1.0, 3.2123456, 0.1, 1e-7, 9999999.0, 40123441.0, 1234567890123.0, 40e6, 12345.678])
@pytest.mark.parametrize(("unit", "read"), [("multiply-adds", parse_count), ("ms", lambda t: parse_latency(t + "ms"))])
def test_what_is_written_is_read_as_no_less(value: float, unit: str, read: Callable[[str], float]) -> None:
    value = max(1.0, round(value)) if unit == "multiply-adds" else value
    up, down = (read(write_limit(value, unit, up=up)) for up in (True, False))
    assert down <= value <= up <= down + 1.01e-5 * value
    assert len(write_limit(value, unit).strip("0M.").replace(".", "")) <= 6


def test_counts_are_written_in_millions() -> None:
    assert write_limit(40123441.0, "multiply-adds") == "40.1235M"
    assert write_limit(40123441.0, "multiply-adds", up=False) == "40.1234M"
    assert write_limit(40e6, "parameters") == "40M"
    assert write_limit(999999.5, "parameters") == "1M"
    assert write_limit(3.25, "ms") == "3.25"
    assert write_limit(1200.0, "units") == "1200"


def test_limits_are_read_without_torch() -> None:
    code = "import sys, pumice.cost.budget; sys.exit('torch' in sys.modules or 'numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
