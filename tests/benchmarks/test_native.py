import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import native
import native_memory
import numpy as np
import pytest
from native_counters import _rows


def line(network: str, **contenders: list[float]) -> dict[str, Any]:
    """Blocks of the given ms."""
    rows = {
        name: {
            "error": 1e-6,
            "file_bytes": 2_000_000,
            "version": "1",
            "cpu_ms": np.repeat(ms, 3).tolist(),
            "written": 10**6,
        }
        for name, ms in contenders.items()
    }
    for row in rows.values():
        row["wall_ms"] = row["cpu_ms"]
    roofs = {"madds_per_s": 5e10, "levels": [{"name": "L1", "bytes_per_s": 1e11}]}
    rest = {
        "busy": "",
        "floor_ms": 0.5,
        "planned_bytes": 300_000,
        "live_bytes": 400_000,
        "failed": {},
        "machine": "one",
    }
    return {"network": network, "contenders": rows, "roofs": roofs, "torch_error": 0.0, **rest}


def test_ratios_are_taken_block_by_block() -> None:
    # Each block is disturbed as a whole: the ratio stays 2, that of the medians would too, but the spread is nothing.
    one = line("net", native=[1, 4, 2, 8, 3], onnxruntime=[2, 8, 4, 16, 6], openvino=[9, 9, 9, 9, 19])
    assert native._ratio(one, native.OTHERS, "cpu_ms") == (2.0, 2.0, 2.0)


def test_a_wrong_contender_is_not_compared_with() -> None:
    one = line("net", native=[1] * 5, onnxruntime=[3] * 5, openvino=[2] * 5)
    assert native._ratio(one, native.OTHERS, "cpu_ms") == (2.0, 2.0, 2.0)
    one["contenders"]["openvino"]["error"] = 0.3
    assert native._ratio(one, native.OTHERS, "cpu_ms") == (3.0, 3.0, 3.0)
    one["torch_error"] = 0.2  # a network that multiplies rounding errors
    assert native._ratio(one, native.OTHERS, "cpu_ms") == (2.0, 2.0, 2.0)
    one["torch_error"] = 0.0
    text = native.table([one], "wall")
    assert "2.000 wrong" in text
    assert "openvino: off by 3.0e-01" in text


def test_the_table() -> None:
    lines = [
        line("micronet_m0", native=[1] * 5, onnxruntime=[2] * 5, onnxruntime_plain=[2.9] * 5),
        line("mobilenetv1_100", native=[2] * 5, onnxruntime=[2] * 5, onnxruntime_plain=[2] * 5),
    ]
    text = native.table(lines, "auto")
    row = next(row for row in text.splitlines() if "micronet_m0" in row)
    assert "| 2.90 [2.90, 2.90] | 2.00 [2.00, 2.00] |" in row
    assert "3.00 **no** | 50% |" in row
    assert "0.95 yes | 25% |" in text
    assert "Geometric mean over 2: 1.703 against plain files (target 1.3), 1.414" in text
    assert "| micronet_m0 | 0.30 | 0.40 | 1.0 / - / 2.0 |" in text


def test_lines_that_were_cut_off_do_not_count(tmp_path: Path) -> None:
    file = tmp_path / "out.jsonl"
    assert native.read_lines(file) == []
    first, again = line("micronet_m0", native=[1]), line("micronet_m0", native=[2])
    file.write_text("\n".join(map(json.dumps, (line("peleenet", native=[1]), first, again))) + '\n{"network": "micr')
    assert [one["network"] for one in native.read_lines(file)] == ["micronet_m0", "peleenet"]
    assert native.read_lines(file)[0]["contenders"]["native"]["cpu_ms"] == [2, 2, 2]


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the accounts are Linux's")
def test_written_memory_is_what_a_pass_writes() -> None:
    # In a process of its own, as the benchmark does it: threads of other tests write too.
    code = """
import numpy as np
from native_memory import written
block = np.ones(8 << 20, np.uint8)
part = block[: 4 << 20]
print(written(lambda: part.fill(2)), written(block.max))
"""
    folder = Path(native_memory.__file__).parent
    ran = subprocess.run([sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, check=False)
    if "the system does not say" in ran.stderr or "smaps_rollup" in ran.stderr:
        pytest.skip("the system has no such accounts")
    filled, looked = map(int, ran.stdout.split())
    assert filled == pytest.approx(4 << 20, abs=1 << 18)
    assert looked <= 1 << 18


def test_counts_are_read_from_the_annotated_text() -> None:
    text = "static void op_7(const Run *r) {\n    /* stem.conv */\n}"
    counts = " ".join(f"{k},000 (10.{k}%)" for k in range(1, 7)) + " .          "
    last = counts.replace(".          ", "7 ( 0.7%)")
    rows = _rows("net", f"{last} x.c:counted [/a]\n{counts} x.c:op_7.constprop.0 [/a]\n{counts} x.c:main [/a]", text)
    assert rows[2:] == [
        "| the whole pass (counted) | 1,000 | 2,000 | 3,000 | 4,000 | 5,000 | 6,000 | 7 |",
        "| stem.conv (op_7) | 1,000 | 2,000 | 3,000 | 4,000 | 5,000 | 6,000 | 0 |",
    ]
