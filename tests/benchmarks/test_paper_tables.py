"""The printed facts, and that every net that runs for them is the paper's."""

import pytest
import torch
from paper_tables import TABLES, Table, WrittenHardswish, as_written, chosen
from reconstructions import KINDS

from pumice.cost.count import profile
from pumice.errors import BadInput
from pumice.models.catalogue import entries
from pumice.models.create import create_model
from pumice.models.external import is_external


def printed(table: str, net: str) -> dict[str, str]:
    return {k: v for k, v in next(row for row in TABLES[table].rows if row.net == net).printed.items() if v}


def test_spot_values() -> None:
    assert printed("shufflenetv2_table8", "ShuffleNetV2 1x") == {
        **{"level_m": "140", "error": "30.6", "gpu_batches_s": "341", "arm_images_s": "24.4"}
    }
    assert printed("shufflenetv2_table8", "PNASNet")["arm_images_s"] == "4.1"
    assert printed("shufflenetv2_appendix1a", "Xception-like 300 M at 640x480")["gpu_batches_s"] == "244"
    assert printed("shufflenetv2_appendix1a", "ShuffleNetV2 500 M at 1080x720")["arm_images_s"] == "0.4"
    assert printed("mobilenetv3_float", "V3-Small 0.75")["pixel2_ms"] == "15.6"
    assert printed("mobilenetv3_int8", "V3-Large 1.0")["pixel3_ms"] == "31.7"
    assert printed("mobilenetv3_hswish", "h-swish @16, as written")["pixel1_ms"] == "68.9"
    assert printed("micronet", "MicroNet-M3") == {
        **{"params_m": "2.6", "madds_m": "21", "top1": "62.5", "top5": "83.1", "xeon_ms": "11.18"}
    }


@pytest.mark.parametrize("table", TABLES.values(), ids=str)
def test_rows_are_whole(table: Table) -> None:
    known = {e.name for e in entries()} | set(KINDS)
    nets = [row.net for row in table.rows]
    assert len(nets) == len(set(nets))
    for row in table.rows:
        assert not row.model or row.model in known or is_external(row.model)
        assert set(table.columns) <= set(row.printed)
        for key in table.columns:
            assert not row.printed[key] or float(row.printed[key]) > 0
    assert any(row.printed[table.speed] for row in table.rows)
    assert sum(bool(row.model) for row in table.rows) >= 5


def test_large_inputs() -> None:
    rows = TABLES["shufflenetv2_appendix1a"].rows
    assert {row.input_size for row in rows} == {(3, 320, 320), (3, 640, 480), (3, 1080, 720)}
    assert sum(row.gpu_batch == 8 for row in rows) == 4


@pytest.mark.parametrize("name", ["mobilenetv3_float", "micronet"])
def test_the_nets_cost_what_was_printed(name: str) -> None:
    """Within 7 %: the papers round, and V3-Small x0.35 has 12.8 M, printed as 12."""
    for row in TABLES[name].rows:
        if row.model and row.printed["madds_m"] and row.net != "V3-Small minimalistic":  # 65 M is a misprint
            with torch.device("meta"):
                cost = profile(row.build(), row.input_size)
            found, want = (cost.madds + cost.extra_madds) / 1e6, float(row.printed["madds_m"])
            assert found == pytest.approx(want, rel=0.07), row.net


def test_as_written_is_the_same_function() -> None:
    torch.manual_seed(0)
    model = create_model("mobilenetv3_large_100", hswish_from=112).eval()
    x = torch.randn(2, 3, 64, 64)
    with torch.inference_mode():
        before = model(x)
        after = as_written(model)(x)
    assert (before[0] - before[1]).abs().max() > 1e-3 * before.abs().max()
    torch.testing.assert_close(after, before, rtol=1e-4, atol=1e-5 * float(before.abs().max()))
    kinds = [type(m) for m in model.modules()]
    assert torch.nn.Hardswish not in kinds
    assert WrittenHardswish in kinds


def test_options_of_a_row() -> None:
    row = next(r for r in TABLES["mobilenetv3_hswish"].rows if r.net == "h-swish @112, as written")
    assert row.options == {"hswish_from": 112, "written": True}
    relu = next(r for r in TABLES["mobilenetv3_hswish"].rows if r.net == "ReLU")
    assert relu.options == {"act": "RE"}
    assert not any(isinstance(m, torch.nn.Hardswish) for m in relu.build().modules())


def test_unknown_table() -> None:
    with pytest.raises(BadInput, match="did you mean 'micronet'"):
        chosen(["micronets"])
    assert chosen([]) == list(TABLES.values())
