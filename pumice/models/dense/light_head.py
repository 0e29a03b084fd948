"""Light-Head R-CNN on any backbone: Li et al., "Light-Head R-CNN: In Defense of Two-Stage Object Detector", 2017,
arXiv:1711.07264, the detector of table 7 of ShuffleNetV2 (Ma et al., ECCV 2018, arXiv:1807.11164).

From memory of the paper: proposals from C4 with 15 boxes a place, 5 sizes times 3 aspects; the large separable
convolution on C5, whose stride is removed (15 x 1 then 1 x 15 beside 1 x 15 then 15 x 1, 64 or 256 channels inside,
490 = 10 * 7 * 7 out, biased, ReLU after the sum); position-sensitive pooling to 7 x 7; one hidden layer of 2048.
Where memory is silent, ours: boxes as shares of the input (0.04 to 0.64, which are 32 to 512 of 800 pixels); a fixed
number of proposals, 100; their suppression, which is YOLACT's (Bolya et al., ICCV 2019, arXiv:1904.02689, "fast NMS": a
box falls by any better one, fallen or not), so that the graph is the same for every image; bilinear pooling of 2 x 2
points a bin, as torchvision's `ps_roi_align`; boxes refined for all classes alike; 640 x 640 pixels.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pumice.errors import BadInput
from pumice.models.dense.boxes import VARIANCES, level, prior_boxes, rows_of
from pumice.models.dense.plan import HeadPlan
from pumice.models.heads import DenseHead
from pumice.models.spec import Task

SIZES = (0.04, 0.08, 0.16, 0.32, 0.64)
ASPECTS = (1.0, 2.0, 0.5)  # width by height
KERNEL = 15
BINS, GROUP = 7, 10  # 490 = GROUP * BINS * BINS
HIDDEN = 2048
CANDIDATES = 600  # boxes that enter the suppression
OVERLAP = 0.7  # IoU above which the worse of two falls
POINTS = 2  # a side of a bin


class LargeSeparable(nn.Module):
    """y = ReLU(conv_1xk(conv_kx1(x)) + conv_kx1(conv_1xk(x))): C -> hidden -> O twice, biased."""

    def __init__(self, in_channels: int, hidden: int, out_channels: int, kernel_size: int) -> None:
        super().__init__()
        c, m, o, k = in_channels, hidden, out_channels, kernel_size
        tall: dict[str, Any] = {"kernel_size": (k, 1), "padding": (k // 2, 0)}
        wide: dict[str, Any] = {"kernel_size": (1, k), "padding": (0, k // 2)}
        self.tall_wide = nn.Sequential(nn.Conv2d(c, m, **tall), nn.Conv2d(m, o, **wide))
        self.wide_tall = nn.Sequential(nn.Conv2d(c, m, **wide), nn.Conv2d(m, o, **tall))
        self.act = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, O, H, W)."""
        return self.act(self.tall_wide(x) + self.wide_tall(x))


class LightHead(DenseHead):
    """C4, C5 -> (N, proposals, 4 + classes): corners as fractions of the input, then logits, the background first.

    r = ReLU(conv_3x3(C4))
    objectness, offsets = conv_1x1(r)                     of 15 boxes a place; the best that are left of them: proposals
    p = pool(large_separable(C5))                         for each proposal 10 values of each of 7 x 7 bins
    h = ReLU(W p + b);  offsets, logits = W h + b         the proposals, refined

    In training there is more for the loss, (N, proposals + B, 8 + classes): of each proposal its offsets, logits and
    own corners; then, of each of the B boxes, offsets and the objectness, and zeros.
    """

    sides: Tensor

    def __init__(self, channels: tuple[int, int], hidden: int, proposals: int, num_classes: int) -> None:
        super().__init__()
        c4, c5 = channels
        self.proposals = proposals
        self.register_buffer("sides", torch.tensor(anchors()), persistent=False)
        count = len(anchors())
        self.propose = nn.Conv2d(c4, 256, 3, padding=1)
        self.objectness = nn.Conv2d(256, count, 1)
        self.proposed = nn.Conv2d(256, count * 4, 1)
        self.thin = LargeSeparable(c5, hidden, GROUP * BINS * BINS, KERNEL)
        self.hidden = nn.Linear(GROUP * BINS * BINS, HIDDEN)
        self.act = nn.ReLU()
        self.boxes = nn.Linear(HIDDEN, 4)
        for module in self.modules():
            if isinstance(module, nn.Conv2d | nn.Linear):
                nn.init.normal_(module.weight, 0.0, 0.01)
                nn.init.zeros_(module.bias)  # type: ignore[arg-type]
        self.reset(num_classes)

    def reset(self, num_classes: int) -> None:
        """A new layer of logits.

        Raises:
            BadInput: there is no class beside the background.
        """
        if num_classes < 2:
            raise BadInput(f"a detector cannot have {num_classes} classes; the background is one, so give at least 2")
        self.num_classes = num_classes
        self.classifier = nn.Linear(HIDDEN, num_classes)
        nn.init.normal_(self.classifier.weight, 0.0, 0.01)
        nn.init.zeros_(self.classifier.bias)

    def forward(self, maps: list[Tensor]) -> Tensor:
        """C4 and C5 -> (N, proposals, 4 + classes); see the class for training."""
        c4, c5 = maps
        seen = F.relu(self.propose(c4))
        objectness = rows_of(self.objectness(seen), 1)
        offsets = rows_of(self.proposed(seen), 4)
        priors = self.priors(c4)
        with torch.no_grad():
            corners = self.chosen(objectness.squeeze(2), moved(priors, offsets))
        pooled = position_sensitive(self.thin(c5), corners, BINS, POINTS)
        h = self.act(self.hidden(pooled))
        refined, logits = self.boxes(h), self.classifier(h)
        if not self.training:
            return torch.cat((moved(centred(corners), refined), logits), dim=2)
        rows = torch.cat((refined, logits, corners), dim=2)
        more = torch.cat((offsets, objectness), dim=2)
        return torch.cat((rows, F.pad(more, (0, rows.shape[2] - more.shape[2]))), dim=1)

    def priors(self, like: Tensor) -> Tensor:
        """(B, 4) centres and sides, fractions of the input, as `pumice.tasks.detect.priors` makes them."""
        rows, columns = like.shape[2], like.shape[3]
        y = (torch.arange(rows, device=like.device, dtype=torch.float32) + 0.5) / rows
        x = (torch.arange(columns, device=like.device, dtype=torch.float32) + 0.5) / columns
        shape = (rows, columns, len(self.sides))
        centres = torch.stack((x[None, :, None].expand(shape), y[:, None, None].expand(shape)), dim=3)
        return torch.cat((centres, self.sides.expand(*shape, 2)), dim=3).reshape(-1, 4)

    def chosen(self, scores: Tensor, corners: Tensor) -> Tensor:
        """(N, proposals, 4) the best that no better one suppresses; where too few are left, the best of the others."""
        count = corners.shape[1]
        best, places = scores.float().topk(min(CANDIDATES, count), dim=1)
        boxes = corners.gather(1, places.unsqueeze(2).expand(-1, -1, 4))
        falls = overlaps(boxes).triu(diagonal=1).amax(dim=1) > OVERLAP
        span = best[:, :1] - best[:, -1:] + 1
        kept = torch.where(falls, best - span, best)  # below all that stand, in the same order
        _, places = kept.topk(min(self.proposals, kept.shape[1]), dim=1)
        return boxes.gather(1, places.unsqueeze(2).expand(-1, -1, 4))

    def decoding_on(self, maps: Sequence[tuple[int, int]], height: int, width: int) -> dict[str, Any]:
        """The boxes that proposals start from, and how many proposals there are."""
        boxes = [list(box) for box in anchors()]
        count = min(self.proposals, maps[0][0] * maps[0][1] * len(boxes))
        return {**prior_boxes([level(maps[0], boxes)], keep=100), "proposals": count}


def anchors() -> list[tuple[float, float]]:
    """Width and height of the 15 boxes of a place."""
    return [(size * math.sqrt(aspect), size / math.sqrt(aspect)) for size in SIZES for aspect in ASPECTS]


def centred(corners: Tensor) -> Tensor:
    """(..., 4) left, top, right, bottom -> centre x, centre y, width, height."""
    low, high = corners.split(2, dim=-1)
    return torch.cat(((low + high) / 2, high - low), dim=-1)


def moved(boxes: Tensor, offsets: Tensor) -> Tensor:
    """(..., 4) corners, inside the input, of boxes (centre and sides) that were moved by offsets."""
    centre = boxes[..., :2] + VARIANCES[0] * offsets[..., :2] * boxes[..., 2:]
    # No side grows beyond 60 times its own, which would be infinite in an untrained net.
    half = boxes[..., 2:] * (VARIANCES[1] * offsets[..., 2:]).clamp(max=4.0).exp() / 2
    return torch.cat((centre - half, centre + half), dim=-1).clamp(0.0, 1.0)


def overlaps(boxes: Tensor) -> Tensor:
    """(N, K, K) intersection over union of boxes (N, K, 4) with each other, corners."""
    a, b = boxes.unsqueeze(2), boxes.unsqueeze(1)
    sides = (torch.minimum(a[..., 2:], b[..., 2:]) - torch.maximum(a[..., :2], b[..., :2])).clamp(min=0)
    shared = sides[..., 0] * sides[..., 1]
    areas = (boxes[..., 2] - boxes[..., 0]) * (boxes[..., 3] - boxes[..., 1])
    return shared / (areas.unsqueeze(2) + areas.unsqueeze(1) - shared).clamp(min=1e-9)


def position_sensitive(x: Tensor, corners: Tensor, bins: int, points: int) -> Tensor:
    """(N, G bins^2, H, W) and boxes (N, P, 4) -> (N, P, G bins^2), ordered by group, row, column.

    Bin (i, j) of a box is the mean over points^2 places in it of the G channels that belong to (i, j): channel
    g bins^2 + i bins + j.  corners: fractions of the map.
    """
    n, group, count = x.shape[0], x.shape[1] // bins**2, corners.shape[1]
    # A map for every bin, read at the places of that bin of every box.
    maps = x.reshape(n, group, bins**2, *x.shape[2:]).transpose(1, 2).reshape(n * bins**2, group, *x.shape[2:])
    steps = (torch.arange(bins * points, device=x.device, dtype=torch.float32) + 0.5) / (bins * points)
    steps = steps.reshape(bins, points)
    shape = (bins, bins, points, points)
    u = steps[None, :, None, :].expand(shape).reshape(1, bins**2, 1, points**2)
    v = steps[:, None, :, None].expand(shape).reshape(1, bins**2, 1, points**2)
    low, sides = corners[:, None, :, None, :2], (corners[..., 2:] - corners[..., :2])[:, None, :, None]
    places = low + torch.stack((u, v), dim=4) * sides
    grid = (2 * places - 1).reshape(n * bins**2, count, points**2, 2)
    read = F.grid_sample(maps.float(), grid, mode="bilinear", padding_mode="border", align_corners=False).mean(dim=3)
    return read.to(x.dtype).reshape(n, bins**2, group, count).permute(0, 3, 2, 1).reshape(n, count, group * bins**2)


@dataclass(frozen=True)
class LightHeadPlan(HeadPlan):
    """`lighthead:BACKBONE`.

    hidden: channels inside the large separable convolution: 64, or 256 of the larger setting.
    proposals: boxes that the second stage looks at.
    """

    hidden: Literal[64, 256] = 64
    proposals: int = 100

    task: ClassVar[Task] = "detect"
    input_size: ClassVar[tuple[int, int]] = (640, 640)
    num_classes: ClassVar[int] = 81  # COCO's and the background
    output_stride: ClassVar[int] = 16

    def choose(self, reductions: tuple[int, ...]) -> tuple[int, ...]:
        """The last two maps."""
        if len(reductions) < 2:
            raise BadInput("a detector needs two maps of its backbone, which has one; choose another backbone")
        return len(reductions) - 2, len(reductions) - 1

    def head(
        self, channels: tuple[int, ...], reductions: tuple[int, ...], num_classes: int, drop_rate: float | None
    ) -> DenseHead:
        """LightHead; it has no dropout."""
        if self.hidden < 1 or not 1 <= self.proposals <= CANDIDATES:
            raise BadInput(
                f"hidden={self.hidden}, proposals={self.proposals} cannot be had; give 64 or 256 channels and 1 to "
                f"{CANDIDATES} proposals"
            )
        return LightHead((channels[0], channels[1]), self.hidden, self.proposals, num_classes)
