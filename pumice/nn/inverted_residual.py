"""The inverted residual with linear bottleneck: Sandler et al., "MobileNetV2", CVPR 2018, arXiv:1801.04381, with what
MnasNet, MobileNetV3, EfficientNet, FBNet and IGCV3 added to it."""

from torch import Tensor, nn

from pumice.nn.activation import Activation
from pumice.nn.conv import ConvNormAct
from pumice.nn.drop_path import DropPath
from pumice.nn.shuffle import ChannelShuffle


class InvertedResidual(nn.Module):
    """Wide inside, narrow outside.  (N, C, H, W) -> (N, O, H/s, W/s).

    h = depthwise_k,s(S(expand_1x1(x)))    C -> hidden -> hidden, each conv-norm-act
    y = project_1x1(SE(h))                 hidden -> O, no activation
    return x + y if residual else y

    se: the gate on h, built by the family, whose rule for its width it follows.
    expand: whether there is an expansion; None means hidden != C.
    expand_act: the activation after the expansion where it is another than `act` ("" in IGCV3).
    residual: None means s == 1 and C == O.
    groups: of both 1 x 1 convolutions; above 1 a channel shuffle S stands between expansion and depthwise (FBNet).
    depthwise_groups: of the k x k convolution; None means hidden (fewer, wider groups: FBNetV3's teacher).
    padding: of the depthwise convolution; None is (k - 1) / 2.
    starts_at_zero: the last norm's scale starts at 0 where there is a residual, so that the block starts as x.

    >>> InvertedResidual(16, 96, 24, kernel_size=3, stride=2, act="R6")(torch.rand(1, 16, 56, 56)).shape
    torch.Size([1, 24, 28, 28])
    """

    def __init__(
        self,
        in_channels: int,
        hidden: int,
        out_channels: int,
        kernel_size: int,
        stride: int = 1,
        *,
        act: Activation,
        expand_act: Activation | None = None,
        se: nn.Module | None = None,
        dilation: int = 1,
        expand: bool | None = None,
        residual: bool | None = None,
        groups: int = 1,
        depthwise_groups: int | None = None,
        bias: bool = False,
        padding: int | None = None,
        starts_at_zero: bool = False,
    ) -> None:
        super().__init__()
        c, o = in_channels, out_channels
        expands = hidden != c if expand is None else expand
        adds = stride == 1 and c == o if residual is None else residual
        first = act if expand_act is None else expand_act
        self.expand = ConvNormAct(c, hidden, groups=groups, bias=bias, act=first) if expands else nn.Identity()
        self.shuffle = ChannelShuffle(groups) if groups > 1 else nn.Identity()
        self.depthwise = ConvNormAct(
            *(hidden, hidden, kernel_size, stride),
            padding=padding,
            dilation=dilation,
            groups=hidden if depthwise_groups is None else depthwise_groups,
            bias=bias,
            act=act,
        )
        self.se = nn.Identity() if se is None else se
        self.project = ConvNormAct(hidden, o, groups=groups, bias=bias)
        self.project.norm.__dict__["starts_at_zero"] = starts_at_zero and adds  # read by `initialise`
        self.drop_path = DropPath() if adds else None

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, O, H/s, W/s)."""
        y = self.project(self.se(self.depthwise(self.shuffle(self.expand(x)))))
        return y if self.drop_path is None else x + self.drop_path(y)

    def tapped(self, x: Tensor, name: str) -> tuple[Tensor, Tensor]:
        """What "expand" or "depthwise" gives, and y."""
        wide = self.expand(x)
        h = self.depthwise(self.shuffle(wide))
        y = self.project(self.se(h))
        y = y if self.drop_path is None else x + self.drop_path(y)
        return {"expand": wide, "depthwise": h}[name], y
