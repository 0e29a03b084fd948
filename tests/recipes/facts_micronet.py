"""MicroNet: the released scripts, the text of arXiv:2108.05894 and that of arXiv:2011.12289."""

from tests.recipes.facts import Fact, n

# MicroNet (released scripts; text of arXiv:2108.05894; text of arXiv:2011.12289)
SGD_600 = {"optimizer": "momentum", "momentum": 0.9, "batch_size": 512, "epochs": 600, "schedule": "cosine"}
RELEASED = {**SGD_600, "lr": 0.2, "decay_norm_bias": True, "final_lr": 0.0, "rrc_scale": (0.08, 1.0)}
PLAIN = {"label_smoothing": 0.0, "mixup": 0.0}

MICRONET = (
    Fact(
        "micronet",
        "micronet_m0",
        {**RELEASED, **PLAIN, "weight_decay": 3e-5, "drop_rate": 0.05, "warmup_epochs": 0.0},
        "micronet.md",
        (
            rf"\| batch / lr \|[^|]*\| {n('batch_size')} / \*\*{n('lr')}\*\*",
            rf"\| epochs \|[^|]*\| {n('epochs')} cosine per iteration to {n('final_lr')}",
            rf"\| weight decay \| {n('weight_decay')} \(M0-M2\), [^|]*\| same \|",
            rf"\| dropout \|[^|]*\| {n('drop_rate')} \(M0,M1\)",
            rf"\| label smoothing / mixup \| - \| {n('label_smoothing')} / {n('mixup')} \|",
            rf"\| optimiser \|[^|]*\| SGD {n('momentum')}, weight decay on every parameter",
        ),
    ),
    Fact(
        "micronet",
        "micronet_m2",
        {**RELEASED, **PLAIN, "weight_decay": 3e-5, "drop_rate": 0.1},
        "micronet.md",
        (rf"\| dropout \|[^|]*\|[^|]*, {n('drop_rate')} \(M2,M3\) \|[^|]*\|\n",),
    ),
    Fact(
        "micronet",
        "micronet_m3",
        {**RELEASED, **PLAIN, "weight_decay": 4e-5, "drop_rate": 0.1, "warmup_epochs": 5.0, "warmup_start": 0.0},
        "micronet.md",
        (
            rf"\| weight decay \|[^|]*, {n('weight_decay')} \(M3\) \| same",
            rf"M3: {n('warmup_epochs')} warm-up epochs from {n('warmup_start')}",
        ),
    ),
    Fact(
        "micronet_paper",
        "micronet_m2",
        {**SGD_600, **PLAIN, "lr": 0.02, "weight_decay": 3e-5, "drop_rate": 0.05},
        "micronet.md",
        (
            rf"\| batch / lr \| {n('batch_size')} / \*\*{n('lr')}\*\*",
            rf"\| epochs \| {n('epochs')} cosine \|",
            rf"\| dropout \| {n('drop_rate')} \(M0-M2\)",
        ),
    ),
    Fact(
        "micronet",
        "micronet_44m",
        {**SGD_600, "lr": 0.02, "weight_decay": 4e-5, "drop_rate": 0.1, "label_smoothing": 0.1, "mixup": 0.2}
        | {"mixup_ramp_epochs": 100.0},
        "micronet.md",
        (
            rf"\| batch / lr \|[^|]*\|[^|]*\| {n('batch_size')} / {n('lr')} \|",
            rf"\| label smoothing / mixup \|[^|]*\|[^|]*\| {n('label_smoothing')} / {n('mixup')} for M3 \(44 M\) only",
            rf"ramps alpha linearly over the first {n('mixup_ramp_epochs')} epochs",
            rf"\| dropout \|[^|]*\|[^|]*\|[^|]*, {n('drop_rate')} \(M2,M3\)",
            rf"\| weight decay \|[^|]*\|[^|]*\|[^|]*, {n('weight_decay')} \(M2,M3\)",
        ),
    ),
)
