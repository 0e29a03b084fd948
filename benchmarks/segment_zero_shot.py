"""Do the authors' Cityscapes weights see another city?  ESPNet and ESPNetV2 on CamVid, untrained there.

    .venv/bin/python benchmarks/segment_zero_shot.py --camvid DIR --weights DIR [--size 512x672] [--images N]

Every class of Cityscapes stands for one of CamVid's, or for none.  `strict` takes the highest of all outputs: those
that stand for no class are wrong.  `closed` takes the highest of those that stand for a class.  IoU as `pumice val` has
it, at 360 x 480, where CamVid's void pixels do not count; the photos are those for validation.
"""

import argparse
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from pumice.cost.count import profile
from pumice.data.mask_classes import CITYSCAPES
from pumice.data.masks import MaskSet
from pumice.data.open_masks import open_masks
from pumice.models.create import create_model
from pumice.models.weights import load_weights
from pumice.tasks.segment.decode import resized
from pumice.tasks.segment.iou import confusion, ious

# Network, file, and the parameters that the releases' code counts (without the PReLUs that nothing calls).
NETS = (
    ("espnetv2_seg_050", "espnetv2_s_0.5_city_1024x512.pth", 80_230),
    ("espnet_p2_q8", "decoder_espnet_p_2_q_8.pth", 364_569),
    ("espnet_c_p2_q8", "encoder_espnet_p_2_q_8.pth", 349_449),
)
STANDS_FOR = {
    "sky": "sky",
    "building": "building",
    "pole": "pole",
    "road": "road",
    "sidewalk": "pavement",
    "vegetation": "tree",
    "traffic sign": "sign",
    "traffic light": "sign",
    "fence": "fence",
    "car": "car",
    "truck": "car",
    "bus": "car",
    "person": "pedestrian",
    "rider": "bicyclist",
    "bicycle": "bicyclist",
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--camvid", type=Path, required=True)
    parser.add_argument("--weights", type=Path, required=True)
    parser.add_argument("--size", default="512x672", help="height x width that the networks read")
    parser.add_argument("--images", type=int, default=None)
    arguments = parser.parse_args()
    height, width = map(int, arguments.size.split("x"))
    val = open_masks(arguments.camvid).val
    val = val.subset(range(min(len(val), arguments.images or len(val))))
    print(f"{len(val)} photos at {height} x {width}\n")
    print("| network | params | as released | " + " | ".join(val.classes) + " | mIoU strict | mIoU closed |")
    print("|" + " --- |" * (len(val.classes) + 5))
    for name, file, params in NETS:
        ours, strict, closed = judged(name, arguments.weights / file, val, (height, width))
        cells = " | ".join(f"{v:.3f}" for v in strict)
        same = "yes" if ours == params else f"no, {params:,}"
        print(f"| {name} | {ours:,} | {same} | {cells} | {strict.mean():.3f} | {closed.mean():.3f} |", flush=True)


def judged(
    name: str, weights: Path, val: MaskSet, size: tuple[int, int]
) -> tuple[int, NDArray[np.float64], NDArray[np.float64]]:
    """Parameters, and the IoU of each class of CamVid: strict, closed."""
    net = create_model(name).eval()
    load_weights(net, weights)
    group = groups(val.classes, outputs=20)
    none = len(val.classes)
    matrices = np.zeros((2, none + 1, none + 1), np.int64)
    preprocess = net.preprocess
    for i in range(len(val)):
        image, truth = val.pair(i)
        pixels = np.asarray(image.resize(size[::-1], 2))
        with torch.inference_mode():
            logits = net(torch.from_numpy(preprocess.normalise(pixels))[None])[0].numpy()
        each = np.stack([resized(plane, truth.shape) for plane in logits])
        for matrix, allowed in zip(matrices, (each, each[group < none]), strict=True):
            kept = group if len(allowed) == len(each) else group[group < none]
            matrix += confusion(truth, kept[allowed.argmax(axis=0)].astype(np.uint8), none + 1)
    strict, closed = (ious(matrix)[:none] for matrix in matrices)
    return profile(net, (3, *size)).params, strict, closed


def groups(classes: tuple[str, ...], outputs: int) -> NDArray[np.int64]:
    """For each output the class that it stands for, else the number of classes; the last is what Cityscapes ignores."""
    found = np.full(outputs, len(classes))
    for output, name in enumerate(CITYSCAPES):
        if name in STANDS_FOR:
            found[output] = classes.index(STANDS_FOR[name])
    return found


if __name__ == "__main__":
    main()
