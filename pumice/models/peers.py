"""Which network of another library is one of ours, weight by weight.  Imports no torch."""

from dataclasses import dataclass, field
from typing import Any, Literal

Source = Literal["auto", "pumice", "timm", "torchvision", "pytorchcv", "official"]


@dataclass(frozen=True)
class Peer:
    """The same function in another library.

    net: its name there, with the tag of its weights where the library has several.
    source: whose conventions its weights follow, when not the library's own: timm's `tf_*` hold the authors' weights.
    weights: whether the library publishes weights for it.
    options: what the library's builder takes.
    """

    library: Literal["timm", "torchvision", "pytorchcv"]
    net: str
    source: Source | None = None
    weights: bool = True
    options: dict[str, Any] = field(default_factory=dict)

    @property
    def conventions(self) -> Source:
        """What `load_weights` takes as source."""
        return self.source or self.library

    @property
    def name(self) -> str:
        """As `create_model` takes it, without the tag."""
        return f"{self.library}:{self.net.partition('.')[0]}"


# The first with weights is what `pretrained=True` loads.  A name that timm uses for another net is not here.
PEERS: dict[str, tuple[Peer, ...]] = {
    "squeezenet1_0": (
        Peer("torchvision", "squeezenet1_0"),
        Peer("pytorchcv", "squeezenet_v1_0"),
    ),
    "squeezenet1_1": (
        Peer("torchvision", "squeezenet1_1"),
        Peer("pytorchcv", "squeezenet_v1_1"),
    ),
    "squeezenet1_0_bypass": (Peer("pytorchcv", "squeezeresnet_v1_0"),),
    "squeezenet1_1_bypass": (Peer("pytorchcv", "squeezeresnet_v1_1"),),
    "tv_shufflenetv2_050": (
        Peer("torchvision", "shufflenet_v2_x0_5"),
        Peer("pytorchcv", "shufflenetv2_wd2"),
    ),
    "tv_shufflenetv2_100": (
        Peer("torchvision", "shufflenet_v2_x1_0"),
        Peer("pytorchcv", "shufflenetv2_w1"),
    ),
    "tv_shufflenetv2_150": (Peer("torchvision", "shufflenet_v2_x1_5"),),
    "tv_shufflenetv2_200": (Peer("torchvision", "shufflenet_v2_x2_0"),),
    "mobilenetv1_100": (Peer("timm", "mobilenetv1_100.ra4_e3600_r224_in1k"),),
    "mobilenetv1_125": (Peer("timm", "mobilenetv1_125.ra4_e3600_r224_in1k"),),
    "mobilenetv2_035": (
        Peer("timm", "mobilenetv2_035", weights=False),
        Peer("torchvision", "mobilenet_v2", weights=False, options={"width_mult": 0.35}),
    ),
    "mobilenetv2_050": (
        Peer("timm", "mobilenetv2_050.lamb_in1k"),
        Peer("torchvision", "mobilenet_v2", weights=False, options={"width_mult": 0.5}),
    ),
    "mobilenetv2_075": (
        Peer("timm", "mobilenetv2_075", weights=False),
        Peer("torchvision", "mobilenet_v2", weights=False, options={"width_mult": 0.75}),
    ),
    "mobilenetv2_100": (
        Peer("timm", "mobilenetv2_100.ra_in1k"),
        Peer("torchvision", "mobilenet_v2"),
    ),
    "mobilenetv2_140": (
        Peer("timm", "mobilenetv2_140.ra_in1k"),
        Peer("torchvision", "mobilenet_v2", weights=False, options={"width_mult": 1.4}),
    ),
    "mobilenetv2_130": (Peer("torchvision", "mobilenet_v2", weights=False, options={"width_mult": 1.3}),),
    "mobilenetv2_110d": (Peer("timm", "mobilenetv2_110d.ra_in1k"),),
    "mobilenetv2_120d": (Peer("timm", "mobilenetv2_120d.ra_in1k"),),
    "mobilenetv3_large_100": (
        Peer("timm", "tf_mobilenetv3_large_100.in1k", "official"),
        Peer("timm", "mobilenetv3_large_100.ra_in1k"),
        Peer("torchvision", "mobilenet_v3_large"),
    ),
    "mobilenetv3_large_075": (
        Peer("timm", "tf_mobilenetv3_large_075.in1k", "official"),
        Peer("timm", "mobilenetv3_large_075", weights=False),
    ),
    "mobilenetv3_small_100": (
        Peer("timm", "tf_mobilenetv3_small_100.in1k", "official"),
        Peer("timm", "mobilenetv3_small_100.lamb_in1k"),
        Peer("torchvision", "mobilenet_v3_small"),
    ),
    "mobilenetv3_small_075": (
        Peer("timm", "tf_mobilenetv3_small_075.in1k", "official"),
        Peer("timm", "mobilenetv3_small_075.lamb_in1k"),
    ),
    "mobilenetv3_large_minimal_100": (Peer("timm", "tf_mobilenetv3_large_minimal_100.in1k", "official"),),
    "mobilenetv3_small_minimal_100": (Peer("timm", "tf_mobilenetv3_small_minimal_100.in1k", "official"),),
    "mobilenetv3_large_150d": (Peer("timm", "mobilenetv3_large_150d.ra4_e3600_r256_in1k"),),
    "mnasnet_100": (
        Peer("timm", "mnasnet_100.rmsp_in1k"),
        Peer("torchvision", "mnasnet1_0"),
        Peer("pytorchcv", "mnasnet_b1"),
    ),
    "semnasnet_100": (
        Peer("timm", "semnasnet_100.rmsp_in1k"),
        Peer("pytorchcv", "mnasnet_a1"),
    ),
    "mnasnet_small": (
        Peer("timm", "mnasnet_small.lamb_in1k"),
        Peer("pytorchcv", "mnasnet_small"),
    ),
    "semnasnet_140": (Peer("timm", "semnasnet_140", weights=False),),
    "semnasnet_075": (Peer("timm", "semnasnet_075.rmsp_in1k"),),
    "semnasnet_050": (Peer("timm", "semnasnet_050", weights=False),),
    "mnasnet_050": (
        Peer("torchvision", "mnasnet0_5"),
        Peer("timm", "mnasnet_050", weights=False),
    ),
    "mnasnet_075": (
        Peer("torchvision", "mnasnet0_75"),
        Peer("timm", "mnasnet_075", weights=False),
    ),
    "mnasnet_140": (Peer("timm", "mnasnet_140", weights=False),),
    "mnasnet_130": (Peer("torchvision", "mnasnet1_3"),),
    "efficientnet_b0": (
        Peer("timm", "tf_efficientnet_b0.in1k", "official"),
        Peer("timm", "efficientnet_b0.ra_in1k"),
        Peer("torchvision", "efficientnet_b0"),
        Peer("pytorchcv", "efficientnet_b0"),
    ),
    "efficientnet_b1": (
        Peer("timm", "tf_efficientnet_b1.in1k", "official"),
        Peer("timm", "efficientnet_b1.ft_in1k"),
        Peer("torchvision", "efficientnet_b1"),
    ),
    "efficientnet_b2": (
        Peer("timm", "tf_efficientnet_b2.in1k", "official"),
        Peer("timm", "efficientnet_b2.ra_in1k"),
        Peer("torchvision", "efficientnet_b2"),
    ),
    "efficientnet_b3": (
        Peer("timm", "tf_efficientnet_b3.in1k", "official"),
        Peer("timm", "efficientnet_b3.ra2_in1k"),
        Peer("torchvision", "efficientnet_b3"),
    ),
    "efficientnet_b4": (
        Peer("timm", "tf_efficientnet_b4.in1k", "official"),
        Peer("timm", "efficientnet_b4.ra2_in1k"),
        Peer("torchvision", "efficientnet_b4"),
    ),
    "efficientnet_b5": (
        Peer("timm", "tf_efficientnet_b5.in1k", "official"),
        Peer("timm", "efficientnet_b5.sw_in12k_ft_in1k"),
        Peer("torchvision", "efficientnet_b5"),
    ),
    "efficientnet_b6": (
        Peer("timm", "tf_efficientnet_b6.aa_in1k", "official"),
        Peer("timm", "efficientnet_b6", weights=False),
        Peer("torchvision", "efficientnet_b6"),
    ),
    "efficientnet_b7": (
        Peer("timm", "tf_efficientnet_b7.aa_in1k", "official"),
        Peer("timm", "efficientnet_b7", weights=False),
        Peer("torchvision", "efficientnet_b7"),
    ),
    "efficientnet_b8": (
        Peer("timm", "tf_efficientnet_b8.ra_in1k", "official"),
        Peer("timm", "efficientnet_b8", weights=False),
    ),
    "efficientnet_l2": (
        Peer("timm", "tf_efficientnet_l2.ns_jft_in1k", "official"),
        Peer("timm", "efficientnet_l2", weights=False),
    ),
    "efficientnet_lite0": (
        Peer("timm", "tf_efficientnet_lite0.in1k", "official"),
        Peer("timm", "efficientnet_lite0.ra_in1k"),
    ),
    "efficientnet_lite1": (
        Peer("timm", "tf_efficientnet_lite1.in1k", "official"),
        Peer("timm", "efficientnet_lite1", weights=False),
    ),
    "efficientnet_lite2": (
        Peer("timm", "tf_efficientnet_lite2.in1k", "official"),
        Peer("timm", "efficientnet_lite2", weights=False),
    ),
    "efficientnet_lite3": (
        Peer("timm", "tf_efficientnet_lite3.in1k", "official"),
        Peer("timm", "efficientnet_lite3", weights=False),
    ),
    "efficientnet_lite4": (
        Peer("timm", "tf_efficientnet_lite4.in1k", "official"),
        Peer("timm", "efficientnet_lite4", weights=False),
    ),
    "condensenet74_c4_g4": (Peer("pytorchcv", "condensenet74_c4_g4"),),
    "condensenet74_c8_g8": (Peer("pytorchcv", "condensenet74_c8_g8"),),
    "channelnet_v1_concat": (Peer("pytorchcv", "channelnet", weights=False),),
    "peleenet": (Peer("pytorchcv", "peleenet"),),
    "igcv3_100": (Peer("pytorchcv", "igcv3_w1"),),
    "igcv3_025": (Peer("pytorchcv", "igcv3_wd4"),),
    "igcv3_050": (Peer("pytorchcv", "igcv3_wd2"),),
    "igcv3_075": (Peer("pytorchcv", "igcv3_w3d4"),),
    "ghostnet_050": (Peer("timm", "ghostnet_050", weights=False),),
    "ghostnet_100": (Peer("timm", "ghostnet_100.in1k"),),
    "ghostnet_130": (Peer("timm", "ghostnet_130", weights=False),),
    "fbnetc_100": (
        Peer("timm", "fbnetc_100.rmsp_in1k"),
        Peer("pytorchcv", "fbnet_cb"),
    ),
}


def published_weights(name: str) -> Peer | None:
    """Where `pretrained=True` finds weights of one of our networks."""
    return next((peer for peer in PEERS.get(name, ()) if peer.weights), None)
