"""The columns are timm's, in its units, and ours follow."""

import csv
import io

from pumice.cost.timing import Timing
from pumice.cost.timm_csv import to_timm_csv

TIMM = "model,infer_img_size,infer_samples_per_sec,infer_step_time,infer_batch_size,param_count,infer_gmacs,infer_macts"


def timing(name: str, ms: float, side: int = 224, batch: int = 1, busy: bool = False) -> Timing:
    return Timing(
        name=name,
        runtime="onnxruntime",
        device="cpu",
        threads=2,
        batch=batch,
        dtype="float32",
        input_size=(3, side, side),
        repeats=40,
        passes_per_sample=1,
        p50_ms=ms,
        p90_ms=ms,
        cpu_p50_ms=ms,
        ci95=(ms, ms),
        cpu_ci95=(ms, ms),
        cpu_p10_ms=ms / 2,
        cpu_p10_ci95=(ms / 2, ms / 2),
        busy=busy,
        machine="a machine, 2 cores (1234)",
    )


def rows(*timings: Timing) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(to_timm_csv(timings))))


def test_columns() -> None:
    assert to_timm_csv([]).startswith(f"{TIMM},runtime,device,threads,busy,clock,machine\n")


def test_a_network_of_ours() -> None:
    """MobileNetV2: timm's own line has 3.5 M parameters and, counting a little differently, 0.31 G multiply-adds."""
    slow, fast = timing("mobilenetv2_100", 8.0), timing("mobilenetv2_100", 20.0, batch=8)
    first, second = rows(slow, fast)
    assert (first["infer_samples_per_sec"], first["infer_step_time"], first["infer_batch_size"]) == (
        "400.0",
        "20.0",
        "8",
    )
    assert (second["infer_samples_per_sec"], second["infer_step_time"]) == ("125.0", "8.0")
    assert (second["param_count"], second["infer_gmacs"], second["infer_macts"]) == ("3.5", "0.3008", "")
    assert (second["threads"], second["runtime"], second["busy"], second["clock"]) == ("2", "onnxruntime", "0", "wall")
    assert second["machine"] == "a machine, 2 cores (1234)"


def test_another_input_and_a_stranger() -> None:
    small, unknown, odd = rows(
        timing("mobilenetv2_100", 1.0, side=96), timing("mine.onnx", 2.0), timing("mobilenetv2_100", 3.0, side=97)
    )
    assert (small["infer_img_size"], small["infer_gmacs"]) == ("96", "0.0563")
    assert (unknown["param_count"], unknown["infer_gmacs"]) == ("", "")
    assert (odd["param_count"], odd["infer_gmacs"]) == ("3.5", "")


def test_a_busy_machine() -> None:
    (row,) = rows(timing("mobilenetv2_100", 8.0, busy=True))
    assert (row["infer_step_time"], row["busy"], row["clock"]) == ("4.0", "1", "cpu")
