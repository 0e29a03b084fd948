"""GhostNet: Han et al., "GhostNet: More features from cheap operations", CVPR 2020, arXiv:1911.11907.

    pumice train DATA --model ghostnet_050 --recipe ghostnet

From the release for TensorFlow (github.com/huawei-noah/Efficient-AI-Backbones): batch 1024, 400 epochs, weight decay
4e-5, label smoothing 0.1, dropout 0.2, colour by up to 0.4, crops from 8 % of the area (49 % below width 1).  From the
authors' advice to those who train it with PyTorch: learning rate 0.4, warm-up of 5 epochs, then cosine.

Silent: no training for PyTorch was released.  SGD with Nesterov momentum 0.9 and no decay of norms and biases are
filled in.

Seen here: ghostnet_050, 6 epochs of digits at 32 pixels, lr 0.025: loss 2.284 to 1.071, top-1 88.3 %.
"""

from pumice.recipes.published import published
from pumice.train.config import TrainConfig

NARROW = ("ghostnet_050",)


def ghostnet(data: str, model: str = "ghostnet_100") -> TrainConfig:
    """See the file's head."""
    return published(
        "ghostnet",
        data,
        model,
        optimizer="sgd",
        momentum=0.9,
        batch_size=1024,
        lr=0.4,
        epochs=400,
        schedule="cosine",
        warmup_epochs=5.0,
        weight_decay=4e-5,
        label_smoothing=0.1,
        drop_rate=0.2,
        color_jitter=0.4,
        rrc_scale=(0.49 if model in NARROW else 0.08, 1.0),
    )
