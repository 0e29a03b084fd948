"""FBNet's supernet: every candidate of every layer runs, and the layer is their sum (arXiv:1812.03443, section 3.3).

Memory grows with the number of candidates.
"""

import torch
from torch import Tensor, nn

from pumice.cost.lut.additive import Additive
from pumice.errors import BadInput
from pumice.models.convnet import ConvNet
from pumice.models.rows import Row
from pumice.models.spaces.layered import Layered
from pumice.models.spaces.space import Choice
from pumice.nn.conv import set_norm
from pumice.nn.initialise import initialise
from pumice.search.supernet.gates import Gates
from pumice.search.supernet.relaxed import Relaxed


class Mixed(nn.Module):
    """y = sum_i m_i b_i(x): (N, C, H, W) -> (N, O, H/s, W/s)."""

    def __init__(self, rows: tuple[Row, ...], in_channels: int) -> None:
        super().__init__()
        self.candidates = nn.ModuleList(row.build(in_channels) for row in rows)

    def forward(self, x: Tensor, gates: Tensor) -> Tensor:
        """gates: m, (candidates,)."""
        y = gates[0] * self.candidates[0](x)
        for gate, candidate in zip(gates[1:], self.candidates[1:], strict=True):
            y = y + gate * candidate(x)
        return y


class Supernet(Relaxed):
    """All candidates of a chain.  (N, in_chans, H, W) -> (N, num_classes).

    costs: of each position's options, one number each and a constant, as the cost of a network is their sum.

    Raises:
        BadInput: candidates of a layer differ in width or stride, so that they cannot be added.
    """

    space: Layered

    def __init__(
        self, space: Layered, costs: Additive | None = None, *, num_classes: int | None = None, in_chans: int = 3
    ) -> None:
        super().__init__(space)
        spec = space.spec((0,) * len(space.positions))
        self.num_classes, self.in_chans = space.num_classes if num_classes is None else num_classes, in_chans
        blocks: list[nn.Module] = []
        width, searched = in_chans, range(space.before, space.before + len(space.positions))
        for i, row in enumerate(spec.rows):
            rows = space.rows(i - space.before) if i in searched else (row,)
            shapes = {(other.width(width), other.stride) for other in rows}
            if len(shapes) > 1:
                told = " and ".join(f"{channels} channels at stride {stride}" for channels, stride in sorted(shapes))
                raise BadInput(
                    f"{space.name}: candidates of {space.positions[i - space.before].name} end in {told}; "
                    f"a supernet adds them up, so give them one shape"
                )
            blocks.append(Mixed(rows, width) if i in searched else row.build(width))
            width = row.width(width)
        self.blocks = nn.ModuleList(blocks)
        self.head = spec.head.build(width, self.num_classes, None)
        initialise(self, spec.init)
        set_norm(self, eps=spec.bn_eps, momentum=spec.bn_momentum)
        self.constant = 0.0 if costs is None else costs.constant
        terms = None if costs is None else torch.from_numpy(costs.terms).float()
        self.terms: Tensor | None
        self.register_buffer("terms", terms, persistent=False)

    def forward(self, x: Tensor, gates: Gates) -> Tensor:
        """(N, in_chans, H, W) -> logits."""
        places = iter(gates)
        for block in self.blocks:
            x = block(x, next(places)) if isinstance(block, Mixed) else block(x)
        return self.head(x)

    def cost(self, gates: Gates) -> Tensor | None:
        """LAT(a) = sum_l sum_i m_{l,i} LAT(b_{l,i}), and the constant."""
        if self.terms is None:
            return None
        parts = [(gate * row[: len(gate)]).sum() for gate, row in zip(gates, self.terms, strict=True)]
        return torch.stack(parts).sum() + self.constant

    def plain(self, choice: Choice) -> ConvNet:
        """The network of a choice, with copies of its weights; its norms' running statistics are not to be used."""
        net = ConvNet(self.space.spec(choice), num_classes=self.num_classes, in_chans=self.in_chans).to(self.theta[0])
        options = iter(choice)
        for own, block in zip(net.blocks, self.blocks, strict=True):
            taken = block.candidates[next(options)] if isinstance(block, Mixed) else block
            own.load_state_dict(taken.state_dict())
        net.head.load_state_dict(self.head.state_dict())
        return net
