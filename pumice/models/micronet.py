"""MicroNet: Li et al., "MicroNet: Improving Image Recognition with Extremely Low FLOPs", ICCV 2021, arXiv:2108.05894.

From the authors' release (github.com/liyunsheng13/micronet, commit ed89b26): every number in M0 to M3, and the block
equations.  Where paper and release differ the release runs: M3's kernels of rows 4, 5 and 10 are 5 x 5 (table 1 says
3), its blocks use Dynamic Shift-Max once, K = 1 applies no ReLU, and the logits pass batch norm and h-swish.
"ReLU" is ReLU6 throughout, except inside Dynamic Shift-Max.
From the paper, as options: its ablations.  J, K, the shift as printed, other activations and places, group numbers and
the lite combination; from arXiv:2011.12289 the full-rank partner of mutual learning.  The release's flags for it spare
the depthwise convolutions of lite rows: `full_rank_rows="regular"`.
Where silent: widths other than the published, the ablations' included (`micronet_widths`), and the table of M44.
Nets to segment are told in prose, by arXiv:2011.12289 alone: `dense.mraspp` says what is invented there.  So are those
for keypoints, by both versions: `dense.micro_heatmap`.
"""

from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Literal

from pumice.errors import BadInput
from pumice.models.dense.micro_heatmap import MicroHeatmapPlan
from pumice.models.dense.mraspp import MRASPPPlan
from pumice.models.dense.spec import DenseSpec, on_backbone
from pumice.models.micronet_blocks import Activation, FullRank, Last, Lite, MicroFc, Regular, Start, Stem
from pumice.models.micronet_widths import Combination, Rows, combined, regrouped, scaled, solved
from pumice.models.spec import NetSpec, Variant
from pumice.nn.shift_max import Form

Places = Literal["released", "none", "A1", "A2", "A3", "A1+A2", "A1+A3", "A2+A3", "all"]
Groups = Literal["released", "adaptive", "fixed"]

# fmt: off
M0 = (
    Stem(2, 2),
    #       k  s      out     Gs  y          r
    Lite   (3, 2,      8,      2, (2, 0, 1), 1),
    Lite   (3, 2,     12,      4, (2, 2, 1), 1),
    Lite   (5, 2,     16,      4, (2, 2, 1), 1),
    #       k  s  R  out  Ge  Gs  y          r
    Regular(5, 1, 4,  32,  4,  4, (2, 2, 1), 1),
    Regular(5, 2, 4,  64,  8,  8, (2, 2, 1), 1),
    Regular(3, 1, 4,  96,  8,  8, (2, 2, 1), 2),
    Last   (      4,      12,     (2, 2, 1), 2),
)
M1 = (
    Stem(3, 2),
    Lite   (3, 2,      8,      2, (2, 0, 1), 1),
    Lite   (3, 2,     16,      4, (2, 2, 1), 1),
    Lite   (5, 2,     16,      4, (2, 2, 1), 1),
    Regular(5, 1, 6,  32,  4,  4, (2, 2, 1), 1),
    Regular(5, 2, 6,  64,  8,  8, (2, 2, 1), 1),
    Regular(3, 1, 6,  96,  8,  8, (2, 2, 1), 2),
    Last   (      6,      12,     (2, 2, 1), 2),
)
M2 = (
    Stem(4, 2),
    Lite   (3, 2,     12,      4, (2, 0, 1), 1),
    Lite   (3, 2,     16,      4, (2, 2, 1), 1),
    Lite   (3, 1,     24,      4, (2, 2, 1), 1),
    Regular(5, 2, 6,  32,  6,  4, (2, 2, 1), 1),
    Regular(5, 1, 6,  32,  8,  4, (2, 2, 1), 2),
    Regular(5, 1, 6,  64,  8,  8, (2, 2, 1), 2),
    Regular(5, 2, 6,  96,  8,  8, (2, 2, 1), 2),
    Regular(3, 1, 6, 128, 12,  8, (2, 2, 1), 2),
    Last   (      6,      16,     (2, 2, 1), 2),
)
M3 = (
    Stem(4, 3),
    Lite   (3, 2,     16,      4, (0, 2, 0), 1),
    Lite   (3, 2,     24,      4, (0, 2, 0), 1),
    Lite   (3, 1,     24,      4, (0, 2, 0), 1),
    Regular(5, 2, 6,  32,  6,  4, (0, 2, 0), 1),
    Regular(5, 1, 6,  32,  8,  4, (0, 2, 0), 2),
    Regular(5, 1, 6,  64,  8,  8, (0, 2, 0), 2),
    Regular(5, 1, 6,  80,  8,  8, (0, 2, 0), 2),
    Regular(5, 1, 6,  80, 10,  8, (0, 2, 0), 2),
    Regular(5, 2, 6, 120, 10, 10, (0, 2, 0), 2),
    Regular(5, 1, 6, 120, 12, 10, (0, 2, 0), 2),
    Regular(3, 1, 6, 144, 12, 12, (0, 2, 0), 2),
    Last   (      6,      12,     (0, 2, 0), 2),
)
M44 = (  # invented here: only the budget and the rules of the group numbers are published
    Stem(4, 4),
    Lite   (3, 2,     24,      4, (0, 2, 0), 1),
    Lite   (3, 2,     32,      4, (0, 2, 0), 1),
    Lite   (3, 1,     32,      4, (0, 2, 0), 1),
    Regular(5, 2, 6,  48,  8,  6, (0, 2, 0), 1),
    Regular(5, 1, 6,  48,  8,  6, (0, 2, 0), 2),
    Regular(5, 1, 6,  64,  8,  8, (0, 2, 0), 2),
    Regular(5, 1, 6,  64,  8,  8, (0, 2, 0), 2),
    Regular(5, 1, 6,  96,  8,  8, (0, 2, 0), 2),
    Regular(5, 1, 6,  96, 12,  8, (0, 2, 0), 2),
    Regular(5, 1, 6,  96, 12,  8, (0, 2, 0), 2),
    Regular(5, 1, 6,  96, 12,  8, (0, 2, 0), 2),
    Regular(5, 1, 6,  96, 12,  8, (0, 2, 0), 2),
    Regular(5, 2, 6, 144, 12, 12, (0, 2, 0), 2),
    Regular(5, 1, 6, 144, 12, 12, (0, 2, 0), 2),
    Regular(3, 1, 6, 192, 12, 12, (0, 2, 0), 2),
    Regular(3, 1, 6, 192, 16, 12, (0, 2, 0), 2),
    Last   (      6,      16,     (0, 2, 0), 2),
)
# fmt: on


@dataclass(frozen=True)
class Table:
    """A published net: its rows, its head and how its hyper-functions start."""

    rows: Rows
    head: MicroFc
    start: Start = "identity"


TABLES = {
    "m0": Table(M0, MicroFc(640, 0.05)),
    "m1": Table(M1, MicroFc(960, 0.05)),
    "m2": Table(M2, MicroFc(1024, 0.1)),
    "m3": Table(M3, MicroFc(1024, 0.1), "shifted"),
    "m44": Table(M44, MicroFc(1024, 0.1), "shifted"),
}


def placed(y: tuple[int, int, int], places: Places) -> tuple[int, int, int]:
    """y with the chosen places dynamic; the first row of M0 to M2 has no A1, as in the release."""
    if places == "released":
        return y
    a1, a2, a3 = (name in places or places == "all" for name in ("A1", "A2", "A3"))
    return 2 * a3, y[1] * a1, int(a2)


def micronet(
    table: Literal["m0", "m1", "m2", "m3", "m44"] = "m0",
    width: float = 1.0,
    activation: Activation = "shift_max",
    form: Form = "released",
    j: int = 2,
    k: int = 2,
    places: Places = "released",
    groups: Groups = "released",
    fixed_groups: int = 1,
    lambda_: float = 1.0,
    lite: Combination = "low",
    full_rank: bool = False,
    full_rank_rows: Literal["all", "regular"] = "all",
    madds: int = 0,
) -> NetSpec:
    """A table, and the paper's ablations of it.

    width: of every row; the head's hidden layer keeps its own.
    madds: above 0, widths are solved so that convolutions, the head's layers included, and with 1000 classes, have at
        most that many multiply-adds at 224 x 224, hyper-functions apart: how the paper compares nets of equal cost.
    activation, places: what stands at the places of hyper-functions, and which of them have one.
    form, j, k: of Shift-Max; k of Dynamic ReLU too.  Places A2 have K = 1.
    groups: the table's numbers ("adaptive" where width or lite changes the table), `lambda_` times those that are
        nearest to sqrt(C / R), or `fixed_groups`; always the nearest that divide the widths.
    lite: at which levels rows expand in their depthwise convolution.
    full_rank: no groups in 1 x 1 convolutions, plain k x k depthwise ones: the partner of mutual learning.
    full_rank_rows: "regular" leaves the depthwise convolutions of lite rows factorised, as the release does.
    """
    for name, value in (("j", j), ("k", k)):
        if value not in (1, 2, 3):
            raise BadInput(f"MicroNet's option {name} must be 1, 2 or 3, not {value}")
    if activation == "dynamic_relu" and k == 1:
        raise BadInput("MicroNet with Dynamic ReLU needs an option k of 2 or 3: one line alone is no activation")
    if fixed_groups < 1 or (fixed_groups > 1 and groups != "fixed"):
        raise BadInput(f"MicroNet's option fixed_groups {fixed_groups} must be above 0 and needs groups='fixed'")
    if lambda_ != 1 and groups != "adaptive":
        raise BadInput(f"MicroNet's option lambda_ {lambda_} needs groups='adaptive'")
    if madds and width != 1:
        raise BadInput(f"MicroNet solves its widths for {madds} multiply-adds, so its option width must stay 1")
    if full_rank_rows != "all" and not full_rank:
        raise BadInput("MicroNet's option full_rank_rows needs full_rank=true")
    chosen = TABLES[table]
    last = chosen.rows[-1]
    assert isinstance(last, Last)
    rank: FullRank = full_rank_rows if full_rank else "none"
    changes: dict[str, Any] = {
        "activation": activation,
        "form": form,
        "j": j,
        "k": k,
        "start": chosen.start,
        "full_rank": rank,
    }
    rows = tuple(
        row if isinstance(row, Stem) else replace(row, y=placed(row.y, places), **changes)
        for row in combined(chosen.rows, lite, last.expand)
    )

    def grouped(rows: Rows) -> Rows:
        return regrouped(rows, fixed_groups if groups == "fixed" else 0, lambda_)

    if madds:
        rows = solved(rows, grouped, madds, chosen.head.hidden)
    elif groups != "released" or width != 1 or lite != "low":
        rows = grouped(scaled(rows, width))
    return NetSpec(rows, chosen.head, init="full_fan_out")


def mraspp(table: Literal["m0", "m1", "m2", "m3"] = "m0", filters: int = 240) -> DenseSpec:
    """A table as a backbone that ends at 1/16, and MR-ASPP with so many filters on it."""
    return on_backbone(MRASPPPlan(filters), micronet(table))


def keypoints(table: Literal["m0", "m1", "m2", "m3"] = "m0", filters: int = 32) -> DenseSpec:
    """A table as a backbone that ends at 1/16, and MicroNet's head for keypoints with so many filters on it."""
    return on_backbone(MicroHeatmapPlan(filters), micronet(table))


NAMING = (
    "M{} here is M{} of the ICCV paper (arXiv:2108.05894, {} M multiply-adds); the first version (arXiv:2011.12289) "
    "calls its net of that cost and accuracy {}, with other layers"
)
COUNTING = "; the published multiply-adds include applying the shift-max, which Pumice reports apart"
PROSE = (
    "made here from the prose of the first version (arXiv:2011.12289), which gives no widths and no code; at "
    "1024 x 2048 it prints {}, and this net has {} M multiply-adds{} with applying the shift-max"
)
NONE = "none for this backbone"
POSES = (
    "made here from the prose of the papers, which give no widths and no code; at 256 x 192 {} M multiply-adds, {} "
    "with applying the shift-max, and {} M parameters{}"
)
coco_person = partial(
    Variant, keypoints, input_size=(256, 192), num_classes=17, task="keypoints", status="reconstruction"
)
cityscapes = partial(Variant, mraspp, input_size=(1024, 2048), num_classes=19, task="segment", status="reconstruction")
VARIANTS = {
    "micronet_m0": Variant(
        micronet,
        {"table": "m0"},
        published="M0 (ICCV)",
        note="M0 here is M0 of the ICCV paper (arXiv:2108.05894, 4 M multiply-adds); the first version "
        "(arXiv:2011.12289) has no net of that cost: its M0 is the 6 M one" + COUNTING,
    ),
    "micronet_m1": Variant(
        micronet, {"table": "m1"}, published="M1 (ICCV)", note=NAMING.format(1, 1, 6, "M0") + COUNTING
    ),
    "micronet_m2": Variant(
        micronet, {"table": "m2"}, published="M2 (ICCV)", note=NAMING.format(2, 2, 12, "M1") + COUNTING
    ),
    "micronet_m3": Variant(
        micronet,
        {"table": "m3"},
        published="M3 (ICCV)",
        note=NAMING.format(3, 3, 21, "M2")
        + "; the first version's own M3 (44 M) has no released definition"
        + COUNTING,
    ),
    "micronet_44m": Variant(
        micronet,
        {"table": "m44"},
        published="M3 (first arXiv version)",
        status="reconstruction",
        note="invented here from the published rules and budget of the first version's M3 (arXiv:2011.12289, 44 M "
        "multiply-adds), whose layers were never published: with applying the shift-max it has 44.3 M (+0.7 %); its "
        "accuracy is not known, and the published one is not its own",
    ),
    "micronet_m0_mraspp": cityscapes({"table": "m0"}, note=PROSE.format(NONE, 583, "")),
    "micronet_m1_mraspp": cityscapes(
        {"table": "m1"},
        published="M0 (first arXiv version) MR-ASPP",
        note=PROSE.format("810 M for its M0, a classifier of this M1's cost", 813, " (+0.4 %)"),
    ),
    "micronet_m2_mraspp": cityscapes({"table": "m2"}, note=PROSE.format(NONE, 1348, "")),
    "micronet_m3_mraspp": cityscapes(
        {"table": "m3"},
        published="M2 (first arXiv version) MR-ASPP",
        note=PROSE.format("1750 M for its M2, a classifier of this M3's cost", 1841, " (+5.2 %)"),
    ),
    "micronet_m0_keypoints": coco_person(
        {"table": "m0", "filters": 32},
        note=POSES.format("46.7", "61.1", "0.65", "; nothing is printed of this backbone"),
    ),
    "micronet_m1_keypoints": coco_person(
        {"table": "m1", "filters": 42},
        published="M0 (first arXiv version) keypoints",
        note=POSES.format(
            "59.0",
            "76.9",
            "0.82",
            "; the first version (arXiv:2011.12289) prints about 77 M for its smallest, whose classifier costs as much "
            "as this M1's",
        ),
    ),
    "micronet_m2_keypoints": coco_person(
        {"table": "m2", "filters": 56},
        published="M2 (ICCV) keypoints",
        note=POSES.format("87.6", "112.8", "1.56", "; printed are 116.8 M (-3.4 %) and 1.8 M (-13 %)"),
    ),
    "micronet_m3_keypoints": coco_person(
        {"table": "m3", "filters": 72},
        published="M3 (ICCV) keypoints",
        note=POSES.format("127.7", "158.9", "2.21", "; printed are 163.2 M (-2.7 %) and 2.2 M (+0.3 %)"),
    ),
}
