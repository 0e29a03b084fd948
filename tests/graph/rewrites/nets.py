"""Small random networks in which channels move about."""

import random

import torch
from torch import Tensor, nn

from pumice.nn.gate import SqueezeExcite
from pumice.nn.shuffle import ChannelShuffle

SIZE = (3, 10, 8)
KINDS = (
    "conv",
    "grouped",
    "depthwise",
    "multiplied",
    "relu",
    "shuffle",
    "select",
    "twice",
    "split",
    "residual",
    "gate",
)
KINDS += ("norm", "pool", "concat", "constant", "prelu", "rows", "shifted")


class Step(nn.Module):
    """One random thing that a network does, from C channels to C or more; `channels` afterwards."""

    def __init__(self, kind: str, c: int, chance: random.Random) -> None:
        super().__init__()
        self.kind, self.channels = kind, c
        g = chance.choice([d for d in range(2, c + 1) if c % d == 0])
        if kind == "conv":
            self.channels = chance.choice((8, 12, 16))
            self.layer: nn.Module = nn.Conv2d(c, self.channels, chance.choice((1, 3)), padding=1)
        elif kind == "grouped":
            self.layer = nn.Conv2d(c, 2 * c, 1, groups=g, bias=False)
            self.channels = 2 * c
        elif kind == "depthwise":
            self.layer = nn.Conv2d(c, c, 3, padding=1, groups=c)
        elif kind == "multiplied":
            self.layer = nn.Conv2d(c, 2 * c, 3, padding=1, groups=c)
            self.channels = 2 * c
        elif kind in ("shuffle", "split", "residual"):
            self.layer = nn.Sequential(nn.Conv2d(c // 2, c // 2, 1), nn.ReLU()) if kind == "split" else nn.ReLU()
            self.shuffle = ChannelShuffle(g)
        elif kind == "gate":
            self.layer = SqueezeExcite(c, 4)
        elif kind == "norm":
            self.layer = nn.BatchNorm2d(c)
            for name in ("weight", "bias", "running_mean", "running_var"):
                getattr(self.layer, name).data.uniform_(0.5, 1.5)
        elif kind == "prelu":
            self.layer = nn.PReLU(c)
            self.layer.weight.data.uniform_()
        elif kind == "constant":
            self.register_buffer("term", torch.rand(chance.choice(((c, 1, 1), (1, c, 1, 1), (1, 1, 1, 8), ()))))
        elif kind in ("select", "twice", "shifted"):
            pick = list(range(c)) * 2
            chance.shuffle(pick)
            order = pick[:c] if kind == "twice" else chance.sample(range(c), c)
            self.register_buffer("order", torch.tensor(order))

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, channels, H, W), H and W perhaps other ones."""
        if self.kind == "shuffle":
            return self.shuffle(x)
        if self.kind == "select":
            return x[:, self.order]
        if self.kind == "twice":
            return x.index_select(1, self.order)
        if self.kind == "shifted":
            other = x.index_select(1, self.order)
            return torch.maximum(0.5 * other + x, other - x)
        if self.kind == "split":
            a, b = self.shuffle(x).chunk(2, 1)
            return torch.cat((a, self.layer(b)), 1) if self.channels % 2 == 0 else x
        if self.kind == "residual":
            return x + self.layer(self.shuffle(x))
        if self.kind == "relu":
            return x.relu()
        if self.kind == "pool":
            return nn.functional.avg_pool2d(x, 3, 1, 1)
        if self.kind == "concat":
            return torch.cat((x[:, 1:], x[:, :1].sigmoid()), 1)
        if self.kind == "constant":
            return x * 2 + (self.term if self.term.dim() < 4 or self.term.shape[1] > 1 else self.term.sum())
        if self.kind == "rows":  # nobody follows channels through this one
            return x + torch.softmax(x, 1)
        return self.layer(x)


def random_net(seed: int, length: int = 12) -> nn.Module:
    """In double precision, ending in a pooled linear layer."""
    torch.manual_seed(seed)
    chance = random.Random(seed)
    steps: list[nn.Module] = [nn.Conv2d(3, 12, 3, padding=1)]
    c = 12
    for _ in range(length):
        kind = chance.choice([k for k in KINDS if c <= 24 or k not in ("grouped", "multiplied")])
        step = Step(kind, c, chance)
        steps.append(step)
        c = step.channels
    tail = (nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(c, 5)) if chance.random() < 0.8 else ()
    return nn.Sequential(*steps, *tail).eval().double()
