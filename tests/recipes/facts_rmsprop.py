"""The trainings with RMSprop: MobileNets, MnasNet, EfficientNet, FBNetV3."""

from tests.recipes.facts import Fact, n

# tensorflow/tpu, models/official/efficientnet
TPU = {
    "optimizer": "rmsprop",
    "opt_eps": 0.001,
    "momentum": 0.9,
    "batch_size": 4096,
    "lr": 0.256,
    "epochs": 350,
    "schedule": "step",
    "warmup_epochs": 5.0,
    "decay_after_warmup": False,
    "decay_epochs": 2.4,
    "decay_rate": 0.97,
    "weight_decay": 1e-5,
    "bn_momentum": 0.01,
    "bn_eps": 0.001,
    "label_smoothing": 0.1,
    "ema_decay": 0.9999,
    "ema_warmup": "tf",
}
HALF = (0.5, 0.5, 0.5)

RMSPROP = (
    # arXiv:1905.02244, 6.1.1; eps and colour: TF-slim
    Fact(
        "mobilenet_v3",
        "mobilenetv3_small_100",
        {
            "optimizer": "rmsprop",
            "momentum": 0.9,
            "opt_eps": 0.001,
            "batch_size": 4096,
            "lr": 0.1,
            "epochs": 540,
            "schedule": "step",
            "decay_epochs": 3.0,
            "decay_rate": 0.99,
            "drop_rate": 0.2,
            "weight_decay": 1e-5,
            "decay_depthwise": False,
            "ema_decay": 0.9999,
            "bn_momentum": 0.01,
            "bn_eps": 0.001,
            "label_smoothing": 0.0,
            "warmup_epochs": 0.0,
            "mean": HALF,
            "std": HALF,
            "rrc_scale": (0.05, 1.0),
            "rrc_ratio": (3 / 4, 4 / 3),
            "color_jitter": (32 / 255, 0.0, 0.5),
        },
        "mobilenet_v3.md",
        (
            rf"Training: RMSProp, batch {n('batch_size')}, lr {n('lr')} decayed {n('minus_percent')} every "
            rf"{n('decay_epochs')} epochs, dropout {n('keep')} keep, wd {n('weight_decay')}, EMA {n('ema_decay')}, "
            rf"BN decay {n('bn_decay')} [^,]*, eps {n('bn_eps')}",
        ),
    ),
    # arXiv:1801.04381, 6.1; TF-slim, nets/mobilenet/README.md
    Fact(
        "mobilenet_v2",
        "mobilenetv2_100",
        {
            "optimizer": "rmsprop",
            "momentum": 0.9,
            "opt_eps": 1.0,
            "batch_size": 96,
            "lr": 0.045,
            "epochs": 412,
            "schedule": "step",
            "decay_epochs": 1.0,
            "decay_rate": 0.98,
            "drop_rate": 0.2,
            "weight_decay": 4e-5,
            "decay_depthwise": False,
            "ema_decay": 0.9999,
            "bn_momentum": 0.003,
            "bn_eps": 0.001,
            "label_smoothing": 0.1,
            "mean": HALF,
            "std": HALF,
        },
        "mobilenet_v2.md",
        (
            rf"BN eps {n('bn_eps')}, decay {n('bn_decay')}, SAME padding, dropout keep {n('keep')}, "
            rf"weight decay {n('weight_decay')}",
            rf"Training: RMSProp {n('momentum')}/0.9, lr {n('lr')}, x{n('decay_rate')} per epoch, "
            rf"16 workers x {n('batch_size')}, EMA {n('ema_decay')}, label smoothing {n('label_smoothing')}",
        ),
    ),
    # TF-slim, nets/mobilenet_v1.py; the rest is Inception V3's, arXiv:1512.00567, section 8
    Fact(
        "mobilenet_v1",
        "mobilenetv1_100",
        {
            "optimizer": "rmsprop",
            "momentum": 0.9,
            "opt_eps": 1.0,
            "batch_size": 32,
            "lr": 0.045,
            "epochs": 100,
            "schedule": "step",
            "decay_epochs": 2.0,
            "decay_rate": 0.94,
            "grad_clip": 2.0,
            "drop_rate": 0.001,
            "weight_decay": 4e-5,
            "decay_depthwise": False,
            "bn_momentum": 0.0003,
            "bn_eps": 0.001,
            "label_smoothing": 0.0,
            "mean": HALF,
        },
        "mobilenet_v1.md",
        (
            rf"BN decay {n('bn_decay')}, eps {n('bn_eps')}",
            rf"Dropout keep {n('keep')}. Weight decay {n('weight_decay')} on convs but NOT on depthwise kernels",
        ),
    ),
    # arXiv:1807.11626, section 5
    Fact(
        "mnasnet",
        "semnasnet_100",
        {**TPU, "drop_rate": None, "drop_path_rate": 0.0, "auto_augment": None},
        "mnasnet.md",
        (
            rf"Training: RMSProp decay 0.9, momentum {n('momentum')}; batch {n('thousand')}K; lr warm-up "
            rf"{n('warmup_epochs')} epochs to {n('lr')}, x{n('decay_rate')} every {n('decay_epochs')} epochs; "
            rf"wd {n('weight_decay')}; BN {n('bn_decay')}; EMA {n('ema_decay')}; label\s+smoothing "
            rf"{n('label_smoothing')}; about {n('epochs')} epochs",
        ),
    ),
    # arXiv:1905.11946, 5.2
    Fact(
        "efficientnet",
        "efficientnet_b0",
        {**TPU, "drop_rate": None, "drop_path_rate": 0.2, "auto_augment": "v0", "mean": None},
        "efficientnet.md",
        (
            rf"Training: RMSProp 0.9/{n('momentum')}, BN {n('bn_decay')}, wd {n('weight_decay')}, lr {n('lr')} "
            rf"x{n('decay_rate')} every {n('decay_epochs')} epochs, EMA {n('ema_decay')}, label smoothing "
            rf"{n('label_smoothing')}",
            rf"BN eps {n('bn_eps')}, momentum {n('bn_decay')}",
        ),
    ),
    Fact("efficientnet", "efficientnet_lite0", {**TPU, "mean": (127 / 255,) * 3, "std": (128 / 255,) * 3}),
    # the same group's VT-ResNet
    Fact(
        "fbnet_v3",
        "fbnetv3_a",
        {
            "optimizer": "rmsprop",
            "batch_size": 2048,
            "lr": 0.16,
            "epochs": 400,
            "schedule": "step",
            "warmup_epochs": 5.0,
            "warmup_start": 0.0625,
            "decay_epochs": 1.0,
            "decay_rate": 0.9875,
            "drop_rate": 0.2,
            "drop_path_rate": 0.1,
            "ema_decay": 0.99985,
            "auto_augment": "original",
        },
        "fbnet_v3.md",
        (
            rf"{n('epochs')} epochs, RMSProp, lr {n('warmup_from')} -> {n('lr')} in {n('warmup_epochs')} epochs, "
            rf"x{n('decay_rate')} per epoch, SyncBN, batch {n('batch_size')}, label smoothing, AutoAugment, survival "
            rf"0.9, dropout {n('drop_rate')}, EMA {n('ema_decay')}",
        ),
    ),
)
