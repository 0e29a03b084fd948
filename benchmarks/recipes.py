"""Every published training, scaled to the digits on one CPU core: does the loss fall as it must?

    .venv/bin/python benchmarks/recipes.py [RECIPE ...]

Each recipe trains the smallest net of its family that takes so small an input, as `pumice train digits --recipe NAME
--epochs N --img-size S` would.  An epoch's loss is the mean of its steps' training losses, with the recipe's label
smoothing, mixup and augmentation.  A net that ignores its input cannot get below ln 10 = 2.303, for the classes are
balanced.  "falls": the last loss is below 2.0 and at least 0.3 below the first.  The accuracies are no accuracies of
the recipes: a few hundred steps are what they warm up in.
"""

import argparse
import sys
from dataclasses import dataclass
from time import process_time

from pumice.cli import show
from pumice.data.digits import open_digits
from pumice.errors import CheckFailed
from pumice.recipes.names import RECIPES, published_recipe
from pumice.recipes.scale import scaled
from pumice.train.config import TrainConfig

LAST, FALL = 2.0, 0.3


@dataclass(frozen=True)
class Case:
    """A net, and the epochs and pixels that it is trained with."""

    model: str
    epochs: int = 6
    img_size: int = 32


CASES: dict[str, Case] = {
    "channelnet": Case("channelnet_v1_050"),
    "condensenet": Case("condensenet74_c8_g8", epochs=3),
    "condensenet_cifar": Case("condensenet50_cifar", epochs=3),
    "efficientnet": Case("efficientnet_b0", epochs=12),
    "espnet_v2": Case("espnetv2_050"),
    "fbnet": Case("fbnet_96", epochs=12),
    "fbnet_v2": Case("fbnetv2_f0", epochs=12),
    "fbnet_v3": Case("fbnetv3_a0", epochs=12),
    "ghostnet": Case("ghostnet_050"),
    "igcv1": Case("igcv1_resnet18_l100m2", epochs=3),
    "igcv1_cifar": Case("igcv1_plain8_l24m2_cifar"),
    "igcv3": Case("igcv3_025", epochs=12),
    "micronet": Case("micronet_m0", epochs=12),
    "micronet_paper": Case("micronet_m0", epochs=12),
    "mnasnet": Case("mnasnet_small", epochs=12),
    "mobilenet_v1": Case("mobilenetv1_025", epochs=12),
    "mobilenet_v2": Case("mobilenetv2_035", epochs=12),
    "mobilenet_v3": Case("mobilenetv3_small_035", epochs=12),
    "peleenet": Case("peleenet", epochs=3),
    "shufflenet_v1": Case("shufflenetv1_g3_025", epochs=12),
    "shufflenet_v2": Case("shufflenetv2_050", epochs=12),
    "squeezenet": Case("squeezenet1_1", epochs=30),
    "squeezenext": Case("squeezenext_g_23_100"),
    "weightnet": Case("weightnet_shufflenetv2_050"),
}


@dataclass(frozen=True)
class Outcome:
    """What a run came to.

    first, last: mean training loss of the first and of the last epoch.  top1: of the last, on the validation images.
    """

    config: TrainConfig
    first: float
    last: float
    top1: float
    cpu_s: float

    @property
    def falls(self) -> bool:
        """Whether the loss fell as it must."""
        return self.last < LAST and self.last < self.first - FALL


def config_of(recipe: str) -> TrainConfig:
    """The recipe scaled to the digits."""
    case = CASES[recipe]
    published = published_recipe(recipe, "digits", case.model)
    given = {"epochs": case.epochs, "img_size": case.img_size, "accelerator": "cpu"}
    return scaled(published, given, len(open_digits().train))


def run(recipe: str) -> Outcome:
    """Train it."""
    from pumice.train.condense import learning_form
    from pumice.train.net import build_net
    from pumice.train.trainer import train_once

    splits, config = open_digits(), config_of(recipe)
    net = build_net(learning_form(config), splits.classes)
    begun = process_time()
    _, history = train_once(net, splits, config)
    first, last = history[0], history[-1]
    return Outcome(config, first["train_loss"], last["train_loss"], last["val_top1"], process_time() - begun)


def main() -> None:
    import torch

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recipes", nargs="*", metavar="RECIPE", help="all by default")
    names = parser.parse_args().recipes or list(CASES)
    torch.set_num_threads(1)
    columns = ["recipe", "net", ">pixels", ">epochs", ">batch", ">lr", ">first loss", ">last loss", ">top-1", ">CPU s"]
    rows, failed = [], []
    for name in names:
        case = CASES[name]
        try:
            got = run(name)
        except CheckFailed as error:
            print(f"{name}: {error}", file=sys.stderr)
            failed.append(name)
            continue
        row = [name, case.model, str(case.img_size), str(case.epochs), str(got.config.batch_size)]
        row += [f"{got.config.lr:.3g}", f"{got.first:.3f}", f"{got.last:.3f}", f"{got.top1:.1%}", f"{got.cpu_s:.0f}"]
        print(*row, "" if got.falls else "DOES NOT FALL", file=sys.stderr, flush=True)
        rows.append([*row, "yes" if got.falls else "NO"])
        failed += [] if got.falls else [name]
    show.table([*columns, "falls"], rows)
    if failed:
        sys.exit(f"the loss does not fall as it must: {', '.join(failed)}")


if __name__ == "__main__":
    assert set(CASES) == set(RECIPES)
    main()
