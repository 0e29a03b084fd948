"""Published sizes of dense networks beside ours.

    .venv/bin/python benchmarks/dense_tables.py [detect ...]

A line a published row, in Markdown: parameters and multiply-adds as printed / ours (the deviation), and why they
differ.  Parameters are counted as the paper does it: most leave out scales and shifts of batch norms, which
TensorFlow's tools fold.  Ends 1 if a deviation above TOLERATED has no reason.
"""

import argparse
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn

from pumice.graph.trace import trace
from pumice.models.create import create_model

TOLERATED = 0.02


@dataclass(frozen=True)
class Row:
    """One published net.

    printed: parameters and multiply-adds in millions, None where nothing is printed.
    result: what the paper measured with it.
    norms: whether its parameters include those of norms.
    minus: a net whose counts are taken off, where a table counts what stands on the backbone.
    passes: images of that size that an evaluation on several scales amounts to.
    reason: of a deviation.
    """

    source: str
    net: str
    size: tuple[int, int]
    printed: tuple[float | None, float | None]
    result: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)
    norms: bool = False
    minus: str = ""
    passes: float = 1
    reason: str = ""

    def counts(self) -> tuple[float, float]:
        """Ours, in millions."""
        params, madds = counted(self.net, self.size, self.norms, **self.options)
        if self.minus:
            less = counted(self.minus, self.size, self.norms, num_classes=0)
            params, madds = params - less[0], madds - less[1]
        return params, madds * self.passes


def counted(name: str, size: tuple[int, int], norms: bool, **options: Any) -> tuple[float, float]:
    """Millions of parameters and of multiply-adds, those of applying MicroNet's activations among them."""
    with torch.device("meta"):
        net = create_model(name, **options).eval()
    graph = trace(net, (3, *size))
    of_norms = sum(p.numel() for m in net.modules() if isinstance(m, nn.BatchNorm2d) for p in m.parameters())
    return (graph.params - (0 if norms else of_norms)) / 1e6, (graph.madds + graph.extra_madds) / 1e6


def detect() -> Iterator[Row]:
    """SSD, SSDLite, Pelee and ESPNetV2's detector."""
    v3, side = "MobileNetV3 tab. 6", (320, 320)
    ten = "all of that paper's SSDLite nets count 90 classes; 80 give {}"
    small = "printed with two or three digits"
    for net, options, params, madds, result, reason in (
        ("mobilenetv1_100", {}, 5.1, 1300, "mAP 22.2, 228 ms", ten.format("5.06 M and 1309 M")),
        ("mobilenetv2_100", {}, 4.3, 800, "mAP 22.1, 162 ms", ten.format("4.29 M and 789 M")),
        ("semnasnet_100", {}, 4.88, 840, "mAP 23.0, 174 ms", ""),
        ("mobilenetv3_large_100", {}, 4.97, 620, "mAP 22.0, 137 ms", ""),
        ("mobilenetv3_large_100", {"reduced": True}, 3.22, 510, "mAP 22.0, 119 ms", ""),
        ("mobilenetv2_035", {"multiplier": 0.35}, 0.93, 160, "mAP 13.7, 66 ms", small),
        ("mobilenetv2_050", {"multiplier": 0.5}, 1.54, 270, "mAP 16.6, 79 ms", ""),
        ("semnasnet_035", {"multiplier": 0.35}, 1.02, 180, "mAP 15.6, 68 ms", ""),
        ("semnasnet_050", {"multiplier": 0.5}, 1.68, 290, "mAP 18.5, 85 ms", ""),
        ("mobilenetv3_small_100", {}, 2.49, 210, "mAP 16.0, 52 ms", ""),
        ("mobilenetv3_small_100", {"reduced": True}, 1.77, 160, "mAP 16.1, 43 ms", ""),
    ):
        yield Row(v3, f"ssdlite:{net}", side, (params, madds), result, options, reason=reason)
    v2 = "MobileNetV2"
    yield Row(v2, "ssdlite:mobilenetv2_100", side, (4.3, 800), "mAP 22.1, 200 ms", {"num_classes": 81})
    doubled = "unexplained: parameters agree, the printed multiply-adds are twice ours"
    for head, params, madds, reason in (("ssd", 14.8, 1250, ""), ("ssdlite", 2.1, 350, doubled)):
        options, minus = {"num_classes": 81}, "mobilenetv2_100"
        source, net = "MobileNetV2 tab. 5", f"{head}:mobilenetv2_100"
        yield Row(source, net, side, (params, madds), "head alone", options, minus=minus, reason=reason)
    yield Row("MnasNet", "ssdlite:semnasnet_100", side, (4.9, 800), "mAP 23.0, 203 ms", reason=small)
    yield Row(
        *("MobileNetV1 tab. 13", "ssd:mobilenetv1_100", (300, 300), (6.8, 1200), "mAP 19.3", {"kernel_size": 1}),
        norms=True,
        reason=small,
    )
    theirs = {"reduced": True, "first_boxes": 6}
    large = "ssdlite:mobilenetv3_large_100"
    yield Row("torchvision", large, side, (3.440060, 583), "mAP 21.3", theirs, norms=True)
    yield Row("Pelee README", "pelee_voc", (304, 304), (5.4, None), "VOC mAP 70.9", norms=True)
    yield Row("Pelee README", "pelee_coco", (304, 304), (5.98, None), "mAP 22.4", norms=True)
    digits = "printed with two digits; the convention is not stated"
    voc, coco = "espnetv2_ssd_200_voc", "espnetv2_ssd_200_coco"
    yield Row("EdgeNets README", voc, (300, 300), (4.75, 900), "VOC mAP 70.3", norms=True, reason=digits)
    yield Row("EdgeNets README", coco, (300, 300), (5.81, 1100), "mAP 20.8", norms=True, reason=digits)


def segment() -> Iterator[Row]:
    """MobileNets with ASPP, R-ASPP, LR-ASPP; MicroNet with MR-ASPP; ESPNet, ESPNetV2.  Norms and biases included."""
    large, small, v2 = "mobilenetv3_large_100", "mobilenetv3_small_100", "mobilenetv2_100"
    whole, half = (1024, 2048), (512, 1024)
    more = "printed 2 to 9 % above the convolutions alone; their convention is not stated"
    rf2 = more + "; which filters of V2 are halved is not published"
    for net, reduced, filters, stride, size, params, madds, result, reason in (
        (f"raspp:{v2}", False, 256, 16, whole, 2.11, 21290, "mIoU 72.84", more),
        (f"raspp:{v2}", True, 256, 16, whole, 1.15, 13680, "mIoU 72.56", rf2),
        (f"lraspp:{v2}", True, 256, 16, whole, 1.02, 12830, "mIoU 72.97", rf2),
        (f"lraspp:{v2}", True, 128, 16, whole, 0.98, 12570, "mIoU 72.74", rf2),
        ("lraspp:mobilenetv2_050", True, 128, 16, whole, 0.28, 4000, "mIoU 68.57", more),
        ("lraspp:mobilenetv2_035", True, 128, 16, whole, 0.16, 2540, "mIoU 66.83", rf2),
        (f"raspp:{large}", False, 256, 16, whole, 3.60, 18430, "mIoU 72.64", more),
        (f"raspp:{large}", True, 256, 16, whole, 1.76, 11240, "mIoU 71.91", more),
        (f"lraspp:{large}", True, 256, 16, whole, 1.63, 10330, "mIoU 72.37", more),
        (f"lraspp:{large}", True, 128, 16, whole, 1.51, 9740, "mIoU 72.36", more),
        (f"lraspp:{small}", True, 128, 16, whole, 0.47, 2900, "mIoU 68.38", more),
        (f"lraspp:{large}", True, 128, 16, half, 1.51, 2480, "test mIoU 72.6 at 1024 x 2048", more),
        (f"lraspp:{large}", True, 128, 32, whole, 1.51, 7740, "test mIoU 72.0", more),
        (f"lraspp:{large}", True, 128, 32, half, 1.51, 1980, "", more),
        (f"lraspp:{small}", True, 128, 16, half, 0.47, 740, "test mIoU 69.4 at 1024 x 2048", more),
        (f"lraspp:{small}", True, 128, 32, whole, 0.47, 2060, "test mIoU 68.3", more),
        (f"lraspp:{small}", True, 128, 32, half, 0.47, 530, "", more),
    ):
        options: dict[str, Any] = {"filters": filters, "output_stride": stride, **({"rf2": True} if reduced else {})}
        yield Row("MobileNetV3 tab. 7, 8", net, size, (params, madds), result, options, norms=True, reason=reason)
    six_scales = 2 * sum((0.25 * i) ** 2 for i in range(2, 8))  # 0.5, 0.75, ..., 1.75, each with its mirror image
    unexplained = "unexplained: parameters agree"
    for head, stride, params, madds, passes, result, reason in (
        ("aspp", 16, 4.52, 5800, 1, "VOC mIoU 75.70", unexplained),
        ("aspp", 8, 4.52, 387_000, six_scales, "VOC mIoU 78.42", unexplained),
        ("raspp", 16, 2.11, 2750, 1, "VOC mIoU 75.32", ""),
        ("raspp", 8, 2.11, 152_600, six_scales, "VOC mIoU 77.33", ""),
    ):
        source, net, options = "MobileNetV2 tab. 7", f"{head}:{v2}", {"num_classes": 21, "output_stride": stride}
        row = Row(source, net, (513, 513), (params, madds), result, options, norms=True, passes=passes, reason=reason)
        yield row
    guessed = "a reconstruction: no widths were published"
    for net, madds, result, reason in (
        ("micronet_m1_mraspp", 810, "its M0", guessed),
        ("micronet_m3_mraspp", 1750, "its M2", guessed),
        ("mraspp:micronet_44m", 2520, "its M3, mIoU 69.1", guessed + ", nor any layer of this backbone"),
    ):
        yield Row("MicroNet, arXiv 2020", net, whole, (None, madds), result, norms=True, reason=reason)
    yield Row("ESPNet", "espnet_c_p2_q8", half, (None, None), "val mIoU 53.3", norms=True)
    theirs = "the convention of the printed figure is not stated"
    yield Row("ESPNet", "espnet_p2_q8", half, (0.364, 4500), "test mIoU 60.3", norms=True, reason=theirs)
    voc = {"num_classes": 21}
    yield Row("ESPNet", "espnet_p2_q8", (512, 512), (None, 2200), "VOC mIoU 63", voc, norms=True, reason=theirs)
    digits = "printed with two digits"
    for width, params, figures in (
        (50, 0.08, {256: (74.88, 39.82), 384: (168.46, 47.18), half: (597.56, 53.9)}),
        (100, 0.23, {256: (136.0, 54.14), 384: (306.0, 60.22), half: (1086.59, 60.1)}),
        (150, 0.47, {256: (214.51, 59.39), 384: (482.63, 63.67), half: (1714.57, 63.8)}),
        (200, 0.79, {256: (337.58, 63.36), 384: (759.52, 67.01), half: (2699.05, 66.4)}),
    ):
        for at, (madds, miou) in figures.items():
            size, options, data = (at, {}, "Cityscapes") if isinstance(at, tuple) else ((at, at), voc, "VOC")
            net, result = f"espnetv2_seg_{width:03}", f"{data} mIoU {miou}"
            yield Row("EdgeNets README", net, size, (params, madds), result, options, norms=True, reason=digits)


def keypoints() -> Iterator[Row]:
    """Heatmaps on MicroNets and on MobileNetV3-Small, at 256 x 192."""
    iccv, size = "MicroNet, ICCV", (256, 192)
    guessed = "a reconstruction: no widths were published"
    first = "its M0, MAdds about"
    three, two = (
        "AP 58.7, AP50 84.0, AP75 65.5, APm 56.0, APl 64.2",
        "AP 54.9, AP50 82.0, AP75 60.3, APm 53.2, APl 59.6",
    )
    mobile = "AP 57.1, AP50 83.8, AP75 63.7, APm 55.0, APl 62.2"
    for source, net, params, madds, result in (
        (iccv, "heatmap:mobilenetv3_small_100", 2.1, 726.9, mobile),
        (iccv, "micronet_m3_keypoints", 2.2, 163.2, three),
        (iccv, "micronet_m2_keypoints", 1.8, 116.8, two),
        ("MicroNet, arXiv 2020", "micronet_m1_keypoints", None, 77, first),
        ("MicroNet, arXiv 2020", "micronet_m0_keypoints", None, None, ""),
    ):
        yield Row(source, net, size, (params, madds), result, norms=True, reason=guessed)


TABLES = {"detect": detect, "segment": segment, "keypoints": keypoints}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("task", nargs="*", choices=[[], *TABLES], help="all if not given")
    unknown = 0
    for task in parser.parse_args().task or TABLES:
        print(f"\n**{task}**\n\n| source | network | M parameters | M MAdds | result, and why ours differ |")
        print("| --- | --- | --- | --- | --- |")
        for row in TABLES[task]():
            parts, far = [], False
            for printed, ours, digits in zip(row.printed, row.counts(), (3, 0), strict=True):
                if printed is None:
                    parts.append(f"- / {ours:.{digits}f}")
                    continue
                deviation = ours / printed - 1
                far |= abs(deviation) > TOLERATED
                parts.append(f"{printed:g} / {ours:.{digits}f} ({deviation:+.1%})")
            options = " ".join(f"{k}={v}" for k, v in row.options.items())
            reason = (row.reason or "NO REASON GIVEN") if far else ""
            unknown += far and not row.reason
            said = "; ".join(text for text in (row.result, reason) if text)
            print(
                f"| {row.source} | `{' '.join((row.net, options)).strip()}` | {' | '.join(parts)} | {said} |",
                flush=True,
            )
    sys.exit(1 if unknown else 0)


if __name__ == "__main__":
    main()
