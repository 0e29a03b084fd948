"""Published segmentation nets have the parameters and multiply-adds that were recounted from their papers and code.

Figures in millions of parameters, norms and biases included, and in 10^9 multiply-adds of convolutions, to the digits
that the recounts have.  What the papers print stands in benchmarks/dense/segment.csv.
"""

from typing import Any

import pytest
import torch

from pumice.cost.count import Profile, profile
from pumice.models.catalogue import entry
from pumice.models.create import create_model

LARGE, SMALL, V2 = "mobilenetv3_large_100", "mobilenetv3_small_100", "mobilenetv2_100"
WHOLE, HALF = (1024, 2048), (512, 1024)


def counted(name: str, size: tuple[int, int], **options: Any) -> Profile:
    with torch.device("meta"):
        return profile(create_model(name, **options), (3, *size))


# Tables 7 and 8 of arXiv:1905.02244, 19 classes.
@pytest.mark.parametrize(
    ("name", "rf2", "filters", "output_stride", "size", "params", "madds"),
    [
        (f"raspp:{V2}", False, 256, 16, WHOLE, 2.113, 20.83),
        (f"raspp:{V2}", True, 256, 16, WHOLE, 1.159, 13.40),
        (f"lraspp:{V2}", True, 256, 16, WHOLE, 1.031, 12.57),
        (f"lraspp:{V2}", True, 128, 16, WHOLE, 0.987, 12.32),
        ("lraspp:mobilenetv2_050", True, 128, 16, WHOLE, 0.283, 3.90),
        ("lraspp:mobilenetv2_035", True, 128, 16, WHOLE, 0.169, 2.46),
        (f"raspp:{LARGE}", False, 256, 16, WHOLE, 3.601, 17.79),
        (f"raspp:{LARGE}", True, 256, 16, WHOLE, 1.762, 10.83),
        (f"lraspp:{LARGE}", True, 256, 16, WHOLE, 1.633, 9.95),
        (f"lraspp:{LARGE}", True, 128, 16, WHOLE, 1.507, 9.37),
        (f"lraspp:{LARGE}", True, 128, 32, WHOLE, 1.507, 7.45),
        (f"lraspp:{LARGE}", True, 128, 16, HALF, 1.507, 2.34),
        (f"lraspp:{LARGE}", True, 128, 32, HALF, 1.507, 1.86),
        (f"lraspp:{SMALL}", True, 128, 16, WHOLE, 0.469, 2.73),
        (f"lraspp:{SMALL}", True, 128, 32, WHOLE, 0.469, 1.93),
        (f"lraspp:{SMALL}", True, 128, 16, HALF, 0.469, 0.68),
        (f"lraspp:{SMALL}", True, 128, 32, HALF, 0.469, 0.48),
    ],
)
def test_mobilenets_on_cityscapes(
    name: str, rf2: bool, filters: int, output_stride: int, size: tuple[int, int], params: float, madds: float
) -> None:
    found = counted(name, size, rf2=rf2, filters=filters, output_stride=output_stride)
    assert (round(found.params / 1e6, 3), round(found.madds / 1e9, 2)) == (params, madds)


# Table 7 of arXiv:1801.04381: 4.52 M and 5.8 B, 2.11 M and 2.75 B.
@pytest.mark.parametrize(
    ("head", "output_stride", "params", "madds"),
    [
        ("aspp", 16, 4_523_541, 5_363_508_928),
        ("raspp", 16, 2_113_557, 2_740_709_056),
        ("raspp", 8, 2_113_557, 8_825_853_632),
    ],
)
def test_mobilenet_v2_on_voc(head: str, output_stride: int, params: int, madds: int) -> None:
    found = counted(f"{head}:{V2}", (513, 513), num_classes=21, output_stride=output_stride)
    assert (found.params, found.madds) == (params, madds)


@pytest.mark.parametrize(
    ("table", "params", "madds", "applying", "printed"),
    [
        ("m0", 164_984, 503_853_360, 79_167_488, None),
        ("m1", 302_641, 715_406_304, 97_779_712, 810),
        ("m2", 632_234, 1_165_677_712, 181_927_936, None),
        ("m3", 761_126, 1_654_896_064, 186_122_240, 1750),
    ],
)
def test_micronets_on_cityscapes(table: str, params: int, madds: int, applying: int, printed: int | None) -> None:
    """Our own figures, which no paper has; the note and the list name them beside the printed ones."""
    name = f"micronet_{table}_mraspp"
    found, listed = counted(name, WHOLE), entry(name)
    assert (found.params, found.madds, found.extra_madds) == (params, madds, applying)
    assert (listed.params, listed.madds, listed.extra_madds) == (params, madds, applying)
    assert (listed.status, listed.task, listed.input_size) == ("reconstruction", "segment", (3, *WHOLE))
    total = (madds + applying) / 1e6
    assert f"this net has {total:.0f} M multiply-adds" in listed.note
    assert (listed.published or {}).get("madds_m") == printed
    if printed:
        assert f"prints {printed} M" in listed.note
        assert f"({total / printed - 1:+.1%})".replace("%", " %") in listed.note
