"""MicroNet: Li et al., "MicroNet: Improving image recognition with extremely low FLOPs", ICCV 2021, arXiv:2108.05894.

    pumice train DATA --model micronet_m0 --recipe micronet
    pumice train DATA --model micronet_m0 --recipe micronet_paper

SGD with momentum 0.9 (no Nesterov), batch 512, 600 epochs, cosine to 0.  The text and the released scripts
(github.com/liyunsheng13/micronet, scripts and main.py) disagree:

                 released                                   text
learning rate    0.2, which made the released weights       0.02
weight decay     on every parameter: 3e-5, M3 4e-5          3e-5, M3 4e-5
dropout          0.05 (M0, M1), 0.1 (M2, M3)                0.05, M3 0.1
warm-up          M3: 5 epochs from 0                        none named
crops            8 to 100 % of the area, mirror images      random crop, mirror images

Label smoothing 0.1 and mixup 0.2 belong to the 44 M net of the first version (arXiv:2011.12289) alone, at a learning
rate of 0.02; the released code lets mixup's alpha rise over the first 100 epochs.  Its smoothing spreads 0.1 over the
wrong classes; here it is spread over all, which is 0.1 % less for 1000 classes.

Silent: the text on decay of norms and biases (as the scripts), on the area of its crops (8 to 100 %) and, for 44 M,
on decay and mixup's ramp (as the scripts).  The first version adds mutual learning, which is no part of this recipe.

Seen here: micronet_m0, 12 epochs of digits at 32 pixels, lr 0.025: loss 1.636 to 0.229, top-1 96.7 %.
Seen here: micronet_m0, 12 epochs of digits at 32 pixels, lr 0.0025: loss 1.816 to 0.604, top-1 96.1 %.
"""

from typing import Literal

from pumice.recipes.published import published
from pumice.train.config import TrainConfig


def micronet(data: str, model: str = "micronet_m0", source: Literal["released", "text"] = "released") -> TrainConfig:
    """The training of the released scripts, or that of the text.

    Args:
        data: see TrainConfig.
        model: a MicroNet; other names train as M0 does.
        source: "released" (lr 0.2) or "text" (lr 0.02); the 44 M net has lr 0.02 in both.
    """
    largest, first_version = model in ("micronet_m3", "micronet_44m"), model == "micronet_44m"
    released = source == "released" and not first_version
    return published(
        "micronet" if source == "released" else "micronet_paper",
        data,
        model,
        optimizer="momentum",
        momentum=0.9,
        batch_size=512,
        lr=0.2 if released else 0.02,
        epochs=600,
        schedule="cosine",
        warmup_epochs=5.0 if released and largest else 0.0,
        weight_decay=4e-5 if largest else 3e-5,
        decay_norm_bias=True,
        drop_rate=0.1 if largest or (released and model == "micronet_m2") else 0.05,
        label_smoothing=0.1 if first_version else 0.0,
        mixup=0.2 if first_version else 0.0,
        mixup_ramp_epochs=100.0 if first_version else 0.0,
    )


def micronet_paper(data: str, model: str = "micronet_m0") -> TrainConfig:
    """The training of the text: a learning rate of 0.02."""
    return micronet(data, model, source="text")
