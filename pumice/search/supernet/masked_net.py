"""DMaskingNAS's supernet: blocks are added up, widths and expansions are masks, input sides are scattered pixels."""

from functools import partial
from itertools import product
from typing import Literal

import torch
from torch import Tensor, nn

from pumice.models.convnet import ConvNet
from pumice.models.fbnet_blocks import IR, PoolHead, Skip
from pumice.models.spaces.fbnet_v2 import MaskableSpace, Place
from pumice.models.spaces.space import Choice
from pumice.nn.conv import set_norm
from pumice.nn.initialise import initialise
from pumice.search.supernet.gates import Gates
from pumice.search.supernet.masked import MaskedResidual, MaskedSkip, MaskedStem, Width, Work, width_of
from pumice.search.supernet.relaxed import Relaxed
from pumice.search.supernet.scattered import at_sides, subsampled

Counted = Literal["madds", "params"]


class MaskedLayer(nn.Module):
    """Every block of a layer at its largest.  (N, C, H, W), masked -> (N, O, H/s, W/s), masked.

    hidden, squeezed: the widths for each pair of input width and expansion.
    """

    def __init__(self, space: MaskableSpace, place: Place) -> None:
        super().__init__()
        self.place = place
        before, expands = (tuple(space.values[i]) for i in (place.width_in, place.expand))
        largest, widest = int(max(space.values[place.width])), int(max(before))
        blocks: list[nn.Module] = []
        for block in range(len(space.positions[place.block].options)):
            row = space.row(place, block, largest, max(expands))
            blocks.append(MaskedSkip(row, widest) if isinstance(row, Skip) else MaskedResidual(row, widest))
        self.blocks = nn.ModuleList(blocks)
        rows = [(int(width), space.row(place, 0, largest, expand)) for width, expand in product(before, expands)]
        self.hidden = [row.hidden(width) for width, row in rows if isinstance(row, IR)]
        self.squeezed = [row.squeeze(width) for width, row in rows if isinstance(row, IR)]

    def inner(self, gates: Gates) -> tuple[Width, Width]:
        """The hidden and the squeezed width under these gates."""
        pairs = torch.outer(gates[self.place.width_in], gates[self.place.expand]).flatten()
        return width_of(pairs, self.hidden), width_of(pairs, self.squeezed)

    def forward(self, x: Tensor, gates: Gates, width: Width) -> Tensor:
        """The sum of the blocks."""
        hidden, squeeze = self.inner(gates)
        parts = [
            gate * block(x, hidden, squeeze, width)
            for gate, block in zip(gates[self.place.block], self.blocks, strict=True)
        ]
        return torch.stack(parts).sum(0)


class MaskedNet(Relaxed):
    """All networks of the space.  (N, in_chans, H, H), H the largest side -> (N, num_classes).

    counted: what `cost` is, multiply-adds or parameters.  unit: of how many.
    """

    space: MaskableSpace

    def __init__(
        self,
        space: MaskableSpace,
        *,
        num_classes: int | None = None,
        in_chans: int = 3,
        counted: Counted = "madds",
        unit: float = 1e6,
    ) -> None:
        super().__init__(space)
        self.num_classes, self.in_chans = space.num_classes if num_classes is None else num_classes, in_chans
        self.counted, self.unit = counted, unit
        self.sides = [int(side) for side in space.values[0]]
        self.stem = MaskedStem(space.stem(int(max(space.values[1]))).build(in_chans))
        self.layers = nn.ModuleList(MaskedLayer(space, place) for place in space.places)
        self.last = Skip(space.last).build(int(max(space.values[space.places[-1].width])))
        self.head = space.head.build(space.last, self.num_classes, None)
        spec = space.spec((0,) * len(space.positions))
        initialise(self, spec.init)
        set_norm(self, eps=spec.bn_eps, momentum=spec.bn_momentum)

    def forward(self, x: Tensor, gates: Gates) -> Tensor:
        """(N, in_chans, H, H) -> logits."""
        sides, by_side = self.sides, gates[0]
        first = width_of(gates[1], self.space.values[1])
        x = at_sides(partial(self.stem, width=first), x, by_side, sides, 2)
        sides = halved(sides, 2)
        for layer in self.layers:
            assert isinstance(layer, MaskedLayer)
            place = layer.place
            width = width_of(gates[place.width], self.space.values[place.width])
            x = at_sides(partial(layer, gates=gates, width=width), x, by_side, sides, place.stride)
            sides = halved(sides, place.stride)
        # Dispersed zeros must not count in the head's mean, so that it too sees each resolution's own pixels.
        logits = [self.head(self.last(subsampled(x, side))) for side in sides]
        return torch.stack([gate * part for gate, part in zip(by_side, logits, strict=True)]).sum(0)

    def cost(self, gates: Gates) -> Tensor:
        """Multiply-adds or parameters at the effective widths and areas, each block's weighted by its gate.

        k^2 * C_in * C_out / groups * H * W with C = sum_i g_i c_i and H * W = sum_i g_i h_i w_i (the paper's effective
        shapes).  With one-hot gates it is the network's own count.
        """
        sides, total = self.sides, []
        before = width_of(gates[1], self.space.values[1])
        sides = halved(sides, 2)
        pixels = area(gates[0], sides)
        total.append(self._count(self.stem.work(before, pixels)))
        for layer in self.layers:
            assert isinstance(layer, MaskedLayer)
            width = width_of(gates[layer.place.width], self.space.values[layer.place.width])
            sides = halved(sides, layer.place.stride)
            after = area(gates[0], sides)
            hidden, squeeze = layer.inner(gates)
            for gate, block in zip(gates[layer.place.block], layer.blocks, strict=True):
                assert isinstance(block, MaskedResidual | MaskedSkip)
                total.append(gate * self._count(block.work(before, hidden, squeeze, width, (pixels, after))))
            before, pixels = width, after
        total.append(self._count(self._end(before, pixels)))
        return torch.stack(total).sum() / self.unit

    def _end(self, before: Width, pixels: Tensor) -> list[Work]:
        """The last row and the head."""
        assert isinstance(self.head, PoolHead)
        one = pixels.new_ones(())
        last, hidden, features = self.space.last, self.head.project.in_channels, self.head.num_features
        return [
            Work(before.effective * last, pixels, 2 * last * one),
            Work(one * last * hidden, pixels, 2 * hidden * one),
            Work(one * hidden * features, one, 0 * one),
            Work(one * features * self.num_classes, one, self.num_classes * one),
        ]

    def _count(self, works: list[Work]) -> Tensor:
        """Of so many convolutions."""
        parts = [w.kernel * w.pixels if self.counted == "madds" else w.kernel + w.rest for w in works]
        return torch.stack(parts).sum() if parts else self.theta[0].new_zeros(())

    def plain(self, choice: Choice) -> ConvNet:
        """The network of a choice with the first slices of its weights; do not use its norms' running statistics."""
        net = ConvNet(self.space.spec(choice), num_classes=self.num_classes, in_chans=self.in_chans).to(self.theta[0])
        taken: list[nn.Module] = [self.stem.block]
        for layer in self.layers:
            assert isinstance(layer, MaskedLayer)
            block = layer.blocks[choice[layer.place.block]].block
            assert isinstance(block, nn.Module)
            taken.append(block)
        for own, block in zip([*net.blocks, net.head], [*taken, self.last, self.head], strict=True):
            large = block.state_dict()
            own.load_state_dict(
                {
                    name: large[name][tuple(slice(size) for size in value.shape)]
                    for name, value in own.state_dict().items()
                }
            )
        return net


def halved(sides: list[int], stride: int) -> list[int]:
    """Sides after a stride."""
    return [-(-side // stride) for side in sides]


def area(gates: Tensor, sides: list[int]) -> Tensor:
    """sum_i g_i h_i^2."""
    return (gates * torch.tensor([side**2 for side in sides], dtype=gates.dtype, device=gates.device)).sum()
