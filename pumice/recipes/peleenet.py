"""PeleeNet: Wang et al., "Pelee: A real-time object detection system on mobile devices", NeurIPS 2018,
arXiv:1804.06882.

    pumice train DATA --model peleenet --recipe peleenet

Published: cosine, 120 epochs, batch 512; random crops and mirror images.  From the release
(github.com/Robert-JunWang/PeleeNet, main.py): SGD with momentum 0.9 (no Nesterov), learning rate 0.18, weight decay
1e-4 on every parameter, dropout 0.05.

Silent: the normalisation while training (mean and deviation of ImageNet; the weights for Caffe take BGR less 103.94,
116.78, 123.68, times 0.017, which is nearly the same).

Seen here: peleenet, 3 epochs of digits at 32 pixels, lr 0.0225: loss 2.081 to 0.745, top-1 84.4 %.
"""

from pumice.recipes.published import published
from pumice.train.config import TrainConfig


def peleenet(data: str, model: str = "peleenet") -> TrainConfig:
    """See the file's head."""
    return published(
        "peleenet",
        data,
        model,
        optimizer="momentum",
        momentum=0.9,
        batch_size=512,
        lr=0.18,
        epochs=120,
        schedule="cosine",
        weight_decay=1e-4,
        decay_norm_bias=True,
        drop_rate=0.05,
    )
