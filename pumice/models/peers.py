"""Which network of another library is one of ours, weight by weight.  Imports no torch."""

from typing import Literal

Source = Literal["auto", "pumice", "timm", "torchvision", "pytorchcv", "official"]

# name -> (library, its name there, source).  A name that timm uses for another net is not here.
PEERS: dict[str, tuple[str, str, Source]] = {
    "mobilenetv3_large_100": ("timm", "tf_mobilenetv3_large_100.in1k", "official"),
    "mobilenetv3_large_075": ("timm", "tf_mobilenetv3_large_075.in1k", "official"),
    "mobilenetv3_small_100": ("timm", "tf_mobilenetv3_small_100.in1k", "official"),
    "mobilenetv3_small_075": ("timm", "tf_mobilenetv3_small_075.in1k", "official"),
    "mobilenetv3_large_minimal_100": ("timm", "tf_mobilenetv3_large_minimal_100.in1k", "official"),
    "mobilenetv3_small_minimal_100": ("timm", "tf_mobilenetv3_small_minimal_100.in1k", "official"),
    "mobilenetv3_large_150d": ("timm", "mobilenetv3_large_150d.ra4_e3600_r256_in1k", "timm"),
    "efficientnet_lite0": ("timm", "tf_efficientnet_lite0.in1k", "official"),
    "tv_shufflenetv2_050": ("torchvision", "shufflenet_v2_x0_5", "torchvision"),
    "tv_shufflenetv2_100": ("torchvision", "shufflenet_v2_x1_0", "torchvision"),
    "tv_shufflenetv2_150": ("torchvision", "shufflenet_v2_x1_5", "torchvision"),
    "tv_shufflenetv2_200": ("torchvision", "shufflenet_v2_x2_0", "torchvision"),
    "squeezenet1_0": ("torchvision", "squeezenet1_0", "torchvision"),
    "squeezenet1_1": ("torchvision", "squeezenet1_1", "torchvision"),
}
