"""ESPNet: Mehta et al., "ESPNet: Efficient Spatial Pyramid of Dilated Convolutions for Semantic Segmentation",
ECCV 2018, arXiv:1803.06815.

From the paper: the ESP module, the four nets A, B, C and ESPNet (figure 4), the depths alpha_2 = 2, alpha_3 = 3, 5, 8.
From the authors' code (github.com/sacmehta/ESPNet): every width, a PReLU of one slope a channel, batch norm's eps
of 1e-3, the orders of concatenation, and the decoder, whose last skip the paper's figure projects to the classes
and the code does not.  The code has that skip in two forms: 16 channels before the image joins (the released Cityscapes
weights, here the default) or 19 after it (the released CamVid weights, `skip="reinforced"`).
Where silent: no code of ESPNet-A and -B is released; they are ESPNet-C without its concatenations, or without
its image, at the same widths.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn

from pumice.errors import BadInput
from pumice.models.heads import DenseHead
from pumice.models.sides import Sides
from pumice.models.spec import Encoder, PlainSpec, Variant
from pumice.nn.conv import ConvNormAct, set_norm
from pumice.nn.esp import ESP

Skip = Literal["plain", "reinforced"]
WIDTHS = (16, 64, 128)  # of level 1 at 1/2, level 2 at 1/4, level 3 at 1/8
BRANCHES = 5


class Join(nn.Module):
    """PReLU(norm(concat(maps))): maps of `channels` in sum -> (N, channels, H, W)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(channels)
        self.act = nn.PReLU(channels)

    def forward(self, *maps: Tensor) -> Tensor:
        """Maps of one size -> (N, channels, H, W)."""
        return self.act(self.norm(torch.cat(maps, dim=1)))


def pyramids(channels: int, depth: int, hff: bool) -> nn.Sequential:
    """ESP modules with residuals, one after another."""
    return nn.Sequential(*[ESP(channels, channels, branches=BRANCHES, residual=True, hff=hff) for _ in range(depth)])


class ChainEncoder(Encoder):
    """ESPNet-A: (N, C, H, W) -> maps of 16, 64 and 128 channels at 1/2, 1/4 and 1/8."""

    reductions = (2, 4, 8)

    def __init__(self, in_chans: int, spec: "ESPNetSpec") -> None:
        super().__init__()
        w1, w2, w3 = self.channels = WIDTHS
        self.level1 = ConvNormAct(in_chans, w1, 3, 2, act="PR")
        self.down2 = ESP(w1, w2, 2, branches=BRANCHES, hff=spec.hff)
        self.level2 = pyramids(w2, spec.p, spec.hff)
        self.down3 = ESP(w2, w3, 2, branches=BRANCHES, hff=spec.hff)
        self.level3 = pyramids(w3, spec.q, spec.hff)

    def forward(self, x: Tensor) -> list[Tensor]:
        """(N, C, H, W) -> maps at 1/2, 1/4, 1/8."""
        f1 = self.level1(x)
        f2 = self.level2(self.down2(f1))
        return [f1, f2, self.level3(self.down3(f2))]


class JoinedEncoder(Encoder):
    """ESPNet-B, ESPNet-C, ESPNet: (N, C, H, W) -> three maps; image i_k is the mean over 3 x 3 of i_(k-1), stride 2.

    f_1 = conv_3x3,2(i_0), j_1 = Join(f_1, i_1)                                     1/2, 16 + C
    d_2 = ESP_s=2(j_1), j_2 = Join(p ESPs (d_2), d_2, i_2)                          1/4, 64 + 64 + C
    d_3 = ESP_s=2(j_2), j_3 = Join(d_3, q ESPs (d_3))                               1/8, 128 + 128
    return f_1 or j_1, j_2, j_3

    ESPNet-B has no image, and nothing to join at 1/2.
    """

    reductions = (2, 4, 8)

    def __init__(self, in_chans: int, spec: "ESPNetSpec") -> None:
        super().__init__()
        w1, w2, w3 = WIDTHS
        image = in_chans if spec.image else 0
        self.skip = spec.skip
        self.shrink = nn.AvgPool2d(3, 2, 1) if spec.image else None
        self.channels = (w1 + (image if spec.skip == "reinforced" else 0), 2 * w2 + image, 2 * w3)
        self.level1 = ConvNormAct(in_chans, w1, 3, 2, act="PR")
        self.join1 = Join(w1 + image) if spec.image else nn.Identity()
        self.down2 = ESP(w1 + image, w2, 2, branches=BRANCHES, hff=spec.hff)
        self.level2 = pyramids(w2, spec.p, spec.hff)
        self.join2 = Join(2 * w2 + image)
        self.down3 = ESP(2 * w2 + image, w3, 2, branches=BRANCHES, hff=spec.hff)
        self.level3 = pyramids(w3, spec.q, spec.hff)
        self.join3 = Join(2 * w3)

    def forward(self, x: Tensor) -> list[Tensor]:
        """(N, C, H, W) -> maps at 1/2, 1/4, 1/8."""
        half = [] if self.shrink is None else [self.shrink(x)]
        quarter = [] if self.shrink is None else [self.shrink(half[0])]
        f1 = self.level1(x)
        j1 = self.join1(f1, *half)
        d2 = self.down2(j1)
        j2 = self.join2(self.level2(d2), d2, *quarter)
        d3 = self.down3(j2)
        j3 = self.join3(d3, self.level3(d3))
        return [f1 if self.skip == "plain" else j1, j2, j3]


class EighthHead(DenseHead):
    """ESPNet-A, -B, -C: a 1 x 1 convolution of the last map, (N, classes, H/8, W/8)."""

    def __init__(self, in_channels: int, num_classes: int) -> None:
        super().__init__()
        self.in_channels = in_channels
        self.reset(num_classes)

    def reset(self, num_classes: int) -> None:
        """A new convolution."""
        require(num_classes, 1, "")
        self.classifier = nn.Conv2d(self.in_channels, num_classes, 1, bias=False)

    def forward(self, maps: list[Tensor]) -> Tensor:
        """Maps at 1/2, 1/4, 1/8 -> (N, classes, H/8, W/8)."""
        return self.classifier(maps[-1])


class Decoder(DenseHead):
    """ESPNet's decoder, K classes wide throughout.  Maps m_1, m_2, m_3 at 1/2, 1/4, 1/8 -> (N, K, H, W).

    u_2 = up(norm(conv_1x1(m_3)))                                   up: transposed convolution 2 x 2, stride 2
    u_1 = PReLU(norm(up(ESP(Join(conv_1x1(m_2), u_2)))))            2K -> K
    return up(PReLU(norm(conv_3x3(concat(u_1, m_1)))))
    """

    continues: ClassVar[Mapping[str, str]] = {"classifier.weight": "project3.weight"}  # ESPNet-C's

    def __init__(self, channels: tuple[int, ...], num_classes: int, hff: bool) -> None:
        super().__init__()
        self.channels, self.hff = channels, hff
        self.build(num_classes)

    def build(self, classes: int) -> None:
        """Every layer, in order of execution."""
        require(classes, BRANCHES, f": each of its {BRANCHES} branches makes one of their channels")
        c1, c2, c3 = self.channels
        self.project3 = nn.Conv2d(c3, classes, 1, bias=False)
        self.norm3 = nn.BatchNorm2d(classes)
        self.up3 = nn.ConvTranspose2d(classes, classes, 2, 2, bias=False)
        self.project2 = nn.Conv2d(c2, classes, 1, bias=False)
        self.join2 = Join(2 * classes)
        self.esp2 = ESP(2 * classes, classes, branches=BRANCHES, hff=self.hff)
        self.up2 = nn.ConvTranspose2d(classes, classes, 2, 2, bias=False)
        self.up2_norm = nn.BatchNorm2d(classes)
        self.up2_act = nn.PReLU(classes)
        self.merge1 = ConvNormAct(classes + c1, classes, 3, act="PR")
        self.classifier = nn.ConvTranspose2d(classes, classes, 2, 2, bias=False)

    def reset(self, num_classes: int) -> None:
        """A new decoder: each of its layers is as wide as the classes; eps and momentum stay."""
        like = self.norm3
        self.build(num_classes)
        set_norm(self, eps=like.eps, momentum=like.momentum)

    def forward(self, maps: list[Tensor]) -> Tensor:
        """Maps at 1/2, 1/4, 1/8 -> (N, classes, H, W)."""
        m1, m2, m3 = maps
        u2 = self.up3(self.norm3(self.project3(m3)))
        u1 = self.up2(self.esp2(self.join2(self.project2(m2), u2)))
        u1 = self.up2_act(self.up2_norm(u1))
        return self.classifier(self.merge1(torch.cat((u1, m1), dim=1)))


def require(num_classes: int, least: int, why: str) -> None:
    """
    Raises:
        BadInput: fewer classes than a head can have.
    """
    if num_classes < least:
        plural = "class" if least == 1 else "classes"
        raise BadInput(f"this net needs at least {least} {plural}, not {num_classes}{why}")


@dataclass(frozen=True)
class ESPNetSpec(PlainSpec):
    """The numbers of one net.

    p, q: modules after the strided one at 1/4 and at 1/8.  joined: concatenations.  image: in them.
    decoder: back to the size of the image.  skip: the decoder's map at 1/2.
    """

    p: int
    q: int
    hff: bool
    joined: bool
    image: bool
    decoder: bool
    skip: Skip

    def encoder(self, in_chans: int) -> Encoder:
        """ChainEncoder or JoinedEncoder."""
        return JoinedEncoder(in_chans, self) if self.joined else ChainEncoder(in_chans, self)

    def head(self, channels: tuple[int, ...], num_classes: int, drop_rate: float | None) -> DenseHead:
        """Decoder or EighthHead; neither has dropout."""
        return Decoder(channels, num_classes, self.hff) if self.decoder else EighthHead(channels[-1], num_classes)


def net(p: int, q: int, hff: bool, joined: bool, image: bool, decoder: bool, skip: Skip) -> ESPNetSpec:
    """What all four nets share.

    Raises:
        BadInput: a level without modules.
    """
    if min(p, q) < 1:
        raise BadInput(f"p {p} and q {q} must be from 1 on: each level has at least one ESP module")
    own = {"init": "torch", "bn_eps": 1e-3, "sides": Sides(multiple=8, least=8)}
    return ESPNetSpec(p, q, hff, joined, image, decoder, skip, **own)  # type: ignore[arg-type]  # fields of PlainSpec


def espnet_a(p: int = 2, q: int = 8, hff: bool = True) -> ESPNetSpec:
    """A plain chain of ESP modules."""
    return net(p, q, hff, joined=False, image=False, decoder=False, skip="plain")


def espnet_b(p: int = 2, q: int = 8, hff: bool = True) -> ESPNetSpec:
    """Each level joins its first and last map."""
    return net(p, q, hff, joined=True, image=False, decoder=False, skip="plain")


def espnet_c(p: int = 2, q: int = 8, hff: bool = True) -> ESPNetSpec:
    """The image joins too: the encoder of ESPNet, trained first, on labels at 1/8."""
    return net(p, q, hff, joined=True, image=True, decoder=False, skip="reinforced")


def espnet(p: int = 2, q: int = 8, hff: bool = True, skip: Skip = "plain") -> ESPNetSpec:
    """ESPNet-C and the decoder.  hff: False shows gridding.  skip: "reinforced" takes the map with the image."""
    return net(p, q, hff, joined=True, image=True, decoder=True, skip=skip)


INFERRED = "no code of ESPNet-{} was released: this is ESPNet-C without its {}, at the same widths"
PLAIN = "the decoder reads 16 channels at 1/2, as the released Cityscapes weights do; CamVid's need skip='reinforced'"
cityscapes = partial(Variant, input_size=(512, 1024), num_classes=20, task="segment")  # its 19 classes and the rest

VARIANTS = {
    "espnet_c_p2_q3": cityscapes(espnet_c, {"q": 3}, published="espnet_c_p2_q3"),
    "espnet_c_p2_q5": cityscapes(espnet_c, {"q": 5}, published="espnet_c_p2_q5"),
    "espnet_c_p2_q8": cityscapes(espnet_c, {"q": 8}, published="espnet_c_p2_q8"),
    "espnet_p2_q3": cityscapes(espnet, {"q": 3}, published="espnet_p2_q3", note=PLAIN),
    "espnet_p2_q5": cityscapes(espnet, {"q": 5}, published="espnet_p2_q5", note=PLAIN),
    "espnet_p2_q8": cityscapes(espnet, {"q": 8}, published="espnet_p2_q8", note=PLAIN),
    "espnet_a_p2_q8": cityscapes(
        espnet_a,
        {"q": 8},
        published="espnet_a_p2_q8",
        status="optional",
        note=INFERRED.format("A", "concatenations and image") + "; another port has 64 channels at 1/8",
    ),
    "espnet_b_p2_q8": cityscapes(
        espnet_b, {"q": 8}, published="espnet_b_p2_q8", status="optional", note=INFERRED.format("B", "image")
    ),
}
