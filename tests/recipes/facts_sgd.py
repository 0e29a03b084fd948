"""The trainings with SGD, but for MicroNet."""

from tests.recipes.facts import Fact, n

# megvii-model/ShuffleNet-Series, train.py; 300,000 iterations of 1024 images
SHUFFLE = {
    "optimizer": "momentum",
    "momentum": 0.9,
    "batch_size": 1024,
    "lr": 0.5,
    "epochs": 240,
    "schedule": "linear",
    "final_lr": 0.0,
    "weight_decay": 4e-5,
    "decay_norm_bias": False,
    "label_smoothing": 0.1,
    "color_jitter": 0.4,
    "channels": "BGR",
    "mean": (0.0, 0.0, 0.0),
}

SGD = (
    # arXiv:1707.01083
    Fact(
        "shufflenet_v1",
        "shufflenetv1_g3_100",
        SHUFFLE,
        "shufflenet_v1.md",
        (
            rf"Training: SGD, {n('iterations').replace('(?:e-', '(?:e-?')} iterations, batch {n('batch_size')}, "
            rf"lr {n('lr')} linear to {n('final_lr')}, wd {n('weight_decay')}, mild scale augmentation; repo adds "
            rf"label smoothing {n('label_smoothing')}\s+and colour jitter {n('color_jitter')}",
        ),
    ),
    Fact(
        "shufflenet_v2",
        "shufflenetv2_100",
        SHUFFLE,
        "shufflenet_v2.md",
        ("Official input is BGR 0-255 unnormalised",),
    ),
    # megvii-model/WeightNet, train.py
    Fact(
        "weightnet",
        "weightnet_shufflenetv2_100",
        SHUFFLE,
        "weightnet.md",
        (
            rf"SGD momentum {n('momentum')}, weight decay {n('weight_decay')} \(only tensors named weight with more",
            rf"8 GPUs: {n('batch_size')}, {n('lr')}\), (?P<iterations>[\d,]+) steps, linear decay to "
            rf"{n('final_lr')}, label smoothing {n('label_smoothing')}, random resized crop, flip, colour jitter "
            rf"{n('color_jitter')}",
        ),
    ),
    # forresti/SqueezeNet, solver.prototxt; 170,000 iterations of 512 images
    Fact(
        "squeezenet",
        "squeezenet1_0",
        {
            "optimizer": "momentum",
            "momentum": 0.9,
            "batch_size": 512,
            "lr": 0.04,
            "epochs": 68,
            "schedule": "linear",
            "weight_decay": 2e-4,
            "drop_rate": 0.5,
            "img_size": 227,
            "mean": (104 / 255, 117 / 255, 123 / 255),
            "std": (1 / 255,) * 3,
            "channels": "BGR",
        },
        "squeezenet.md",
        (
            rf"Official solver: batch {n('batch_size')} \(32 x 16\s+accumulated\), lr {n('lr')} decayed linearly "
            rf"\(poly power 1\) to (?P<iterations>\d+k) iterations, momentum {n('momentum')}, "
            rf"wd {n('weight_decay')},\s+crop {n('img_size')}, BGR mean subtraction \(104,117,123\)",
            rf"\| dropout \| {n('drop_rate')} after fire9",
        ),
    ),
    # amirgholami/SqueezeNext, solver; 150,136 iterations of 1024 images
    Fact(
        "squeezenext",
        "squeezenext_23_100",
        {
            "optimizer": "momentum",
            "momentum": 0.9,
            "batch_size": 1024,
            "lr": 0.4,
            "epochs": 120,
            "schedule": "polynomial",
            "decay_power": 2.0,
            "warmup_start": 0.25,
            "warmup_epochs": 780 * 1024 / 1_281_167,
            "decay_after_warmup": False,
            "weight_decay": 1e-4,
            "img_size": 227,
        },
        "squeezenext.md",
        (
            rf"batch {n('batch_size')} \(32 workers x 32\), lr {n('lr')} after warm-up {n('warmup_from')} -> 0.4 over "
            rf"{n('warmup_iterations')} iterations, poly power {n('decay_power')},\s+(?P<iterations>[\d,]+) iterations "
            rf"\(about {n('epochs')} epochs\), momentum {n('momentum')}, wd {n('weight_decay')}, crop {n('img_size')}",
        ),
    ),
    # arXiv:1809.01330; HongyangGao/ChannelNets
    Fact(
        "channelnet",
        "channelnet_v1",
        {
            "optimizer": "sgd",
            "momentum": 0.9,
            "batch_size": 512,
            "lr": 0.1,
            "epochs": 80,
            "schedule": "multistep",
            "milestones": (45.0, 60.0, 65.0, 70.0, 75.0),
            "decay_rate": 0.1,
            "weight_decay": 4e-5,
            "decay_norm_bias": False,
            "label_smoothing": 0.1,
            "channels": "BGR",
            "mean": (0.406, 0.456, 0.485),
        },
        "channelnet.md",
        (
            rf"SGD Nesterov momentum {n('momentum')}, weight decay {n('weight_decay')} [^;]*, label smoothing "
            rf"{n('label_smoothing')} \(code\), {n('epochs')} epochs, lr {n('lr')} divided by {n('divided_by')} at "
            rf"epochs (?P<milestones>[\d, ]+); total batch {n('batch_size')}",
        ),
    ),
    # arXiv:1707.02725
    Fact(
        "igcv1_cifar",
        "igcv1_plain20_l24m2_cifar",
        {
            "optimizer": "sgd",
            "momentum": 0.9,
            "batch_size": 64,
            "lr": 0.1,
            "epochs": 400,
            "milestones": (200.0, 300.0, 350.0),
            "decay_rate": 0.1,
            "weight_decay": 1e-4,
            "pad_crop": 4,
            "bn_momentum": 0.01,
        },
        "igc.md",
        (
            rf"Training CIFAR: Nesterov {n('momentum')}, wd {n('weight_decay')}, lr {n('lr')} x{n('decay_rate')} at "
            rf"1/2, 3/4, 7/8 of {n('epochs')} epochs, batch {n('batch_size')}, pad {n('pad_crop')} crop \+ flip",
        ),
    ),
    Fact(
        "igcv1",
        "igcv1_resnet18_l100m2",
        {
            "optimizer": "sgd",
            "batch_size": 256,
            "lr": 0.1,
            "epochs": 95,
            "milestones": (30.0, 60.0, 90.0),
            "decay_rate": 0.1,
        },
        "igc.md",
        (rf"ImageNet: lr {n('lr')} x{n('decay_rate')} every 30 epochs, batch {n('batch_size')}, {n('epochs')} epochs",),
    ),
    # arXiv:1806.00178
    Fact(
        "igcv3",
        "igcv3_100",
        {
            "optimizer": "momentum",
            "momentum": 0.9,
            "batch_size": 96,
            "lr": 0.045,
            "epochs": 480,
            "schedule": "step",
            "decay_epochs": 1.0,
            "decay_rate": 0.98,
            "weight_decay": 4e-5,
            "std": (1 / 255,) * 3,
        },
        "igc.md",
        (
            rf"Training: SGD {n('momentum')}, wd {n('weight_decay')}, lr {n('lr')} x{n('decay_rate')} per epoch, "
            rf"{n('epochs')} epochs, batch {n('batch_size')}, 4 GPUs; pixels minus RGB mean only \(no std\)",
        ),
    ),
    # Robert-JunWang/PeleeNet, main.py
    Fact(
        "peleenet",
        "peleenet",
        {
            "optimizer": "momentum",
            "momentum": 0.9,
            "batch_size": 512,
            "lr": 0.18,
            "epochs": 120,
            "schedule": "cosine",
            "weight_decay": 1e-4,
            "drop_rate": 0.05,
        },
        "peleenet.md",
        (
            rf"Training: SGD momentum {n('momentum')} \(no Nesterov\), weight decay {n('weight_decay')}, lr {n('lr')} "
            rf"with cosine, batch {n('batch_size')}, {n('epochs')} epochs, random resized crop \+ flip",
            rf"global avg pool, dropout {n('drop_rate')}, linear 704",
        ),
    ),
    # ShichenLiu/CondenseNet, main.py
    Fact(
        "condensenet",
        "condensenet74_c8_g8",
        {
            "optimizer": "sgd",
            "momentum": 0.9,
            "batch_size": 256,
            "lr": 0.1,
            "epochs": 120,
            "schedule": "cosine",
            "final_lr": 0.0,
            "weight_decay": 1e-4,
            "decay_norm_bias": True,
            "group_lasso": 1e-5,
        },
        "condensenet.md",
        (
            rf"SGD Nesterov, momentum {n('momentum')}, weight decay {n('weight_decay')} on everything, lr {n('lr')}, "
            rf"per-iteration cosine to {n('final_lr')}\.",
            rf"ImageNet: batch {n('batch_size')}, {n('epochs')} epochs, lasso {n('group_lasso')}",
        ),
    ),
    Fact(
        "condensenet_cifar",
        "condensenet86_cifar",
        {"batch_size": 64, "lr": 0.1, "epochs": 300, "pad_crop": 4, "group_lasso": 0.0, "decay_norm_bias": True},
        "condensenet.md",
        (
            rf"CIFAR: batch {n('batch_size')}, {n('epochs')} epochs \(600 for \*\), random crop 32 pad {n('pad_crop')} "
            r"\+ flip",
        ),
    ),
    Fact("condensenet_cifar", "condensenet182_cifar", {"epochs": 600, "model_options": {"dropout": 0.1}}),
    # huawei-noah's release for TensorFlow; the authors' advice for PyTorch
    Fact(
        "ghostnet",
        "ghostnet_100",
        {
            "optimizer": "sgd",
            "batch_size": 1024,
            "lr": 0.4,
            "epochs": 400,
            "schedule": "cosine",
            "warmup_epochs": 5.0,
            "weight_decay": 4e-5,
            "decay_norm_bias": False,
            "label_smoothing": 0.1,
            "drop_rate": 0.2,
            "color_jitter": 0.4,
            "rrc_scale": (0.08, 1.0),
        },
        "ghostnet.md",
        (
            rf"TF script: batch {n('batch_size')}, {n('epochs')} epochs, wd {n('weight_decay')}, label smoothing "
            rf"{n('label_smoothing')}, dropout keep {n('keep')}, colour jitter {n('color_jitter')}, crop area "
            r"from 0.08",
            rf"Author advice for PyTorch: lr {n('lr')}, batch 1024, {n('warmup_epochs')} warm-up epochs, cosine",
        ),
    ),
    Fact("ghostnet", "ghostnet_050", {"rrc_scale": (0.49, 1.0)}, "ghostnet.md", (r"\(0\.49 for width < 1\)",)),
    # sacmehta/ESPNetv2, imagenet
    Fact(
        "espnet_v2",
        "espnetv2_100",
        {
            "optimizer": "sgd",
            "momentum": 0.9,
            "batch_size": 512,
            "lr": 0.5,
            "epochs": 300,
            "schedule": "cyclic",
            "cycle_epochs": 5.0,
            "decay_rate": 0.5,
            "milestones": (51.0, 101.0, 131.0, 161.0, 191.0, 221.0, 251.0, 281.0),
            "weight_decay": 4e-5,
            "rrc_scale": (0.08, 1.0),
        },
        "espnet_v2.md",
        (
            rf"ImageNet: SGD Nesterov {n('momentum')}, weight decay {n('weight_decay')}, batch {n('batch_size')}, "
            rf"{n('epochs')} epochs",
            rf"first epoch 0.1, then repeating {n('lr')}, 0.4, 0.3, 0.2, 0.1; all values halved at epochs "
            r"(?P<milestones>[\d, ]+)",
        ),
    ),
    Fact("espnet_v2", "espnetv2_050", {"rrc_scale": (0.2, 1.0)}, "espnet_v2.md", (r"0\.2 for models under 80 MFLOPs",)),
    # recalled, arXiv:1812.03443
    Fact(
        "fbnet",
        "fbnet_a",
        {
            "optimizer": "momentum",
            "momentum": 0.9,
            "batch_size": 256,
            "lr": 0.1,
            "epochs": 360,
            "milestones": (90.0, 180.0, 270.0),
            "weight_decay": 4e-5,
        },
        "fbnet.md",
        (
            rf"SGD momentum {n('momentum')}, batch {n('batch_size')}, {n('epochs')} epochs, lr {n('lr')} with drops, "
            rf"weight decay {n('weight_decay')}",
        ),
    ),
    Fact("fbnet_v2", "fbnetv2_f1", {"batch_size": 256, "lr": 0.1, "epochs": 360, "weight_decay": 4e-5}),
)
