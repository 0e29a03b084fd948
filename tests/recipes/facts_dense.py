"""Trainings of dense tasks: MicroNet, MobileNetV3, Pelee, ESPNet, ESPNetV2; and those that are ours."""

import pytest

from tests.recipes.facts import Fact, n

ADAM = {"optimizer": "adam", "lr": 5e-4, "opt_eps": 1e-8, "weight_decay": 5e-4, "epochs": 1500, "schedule": "step"}
ESPNET = {**ADAM, "decay_epochs": 500.0, "decay_rate": 0.5, "images": 2975, "task.weights": "enet", "task.enet_c": 1.1}
ESPNET_TEXT = (
    rf"Adam lr {n('lr')}, betas \(0.9, 0.999\), eps {n('opt_eps')}, weight decay {n('weight_decay')}, "
    rf"x{n('decay_rate')} every {n('passes_to_drop')} epochs, {n('passes')} epochs",
    rf"weight_c = 1/ln\({n('enet_c')} \+ freq_c\)",
)
PELEE = {"optimizer": "momentum", "momentum": 0.9, "weight_decay": 5e-4, "schedule": "multistep", "decay_rate": 0.1}
PELEE |= {"task.match": 0.5, "task.negatives": 3.0, "task.trials": 50, "task.crop": True, "bn_eps": 1e-3}
PELEE |= {"channels": "BGR", "task.crop_scale": [0.3, 1.0], "task.crop_ratio": [0.5, 2.0]}
PELEE_TEXT = (
    rf"Detection training: SGD momentum {n('momentum')}, weight decay {n('weight_decay')}",
    rf"hard negatives {n('negatives')}:1 with max-negative mining, match IoU {n('match')} per prediction",
    rf"max IoU 1.0; scale 0.3-1, ratio 0.5-2, {n('trials')} trials",
    rf"BN eps: 1e-5 in PyTorch, {n('bn_eps')} in the Caffe/SSD code",
)
V2 = {"optimizer": "momentum", "momentum": 0.9, "weight_decay": 4e-5, "epochs": 100, "schedule": "hybrid"}
V2 |= {"head_lr": 10.0, "milestones": (61.0,), "cycle_epochs": 5.0, "final_lr": 0.0, "images": 2975}
V2_TEXT = (
    rf"{n('epochs')} epochs each, hybrid schedule, weight decay {n('weight_decay')}, momentum {n('momentum')}, "
    rf"decoder lr x{n('head_lr')}",
    rf"same {n('cycle_epochs')}-epoch cycles \(5x base down to base, no halving\) until epoch (?P<milestones>\d+),",
)
KEYPOINTS = {"optimizer": "adam", "lr": 1e-3, "epochs": 250, "schedule": "multistep", "milestones": (210.0, 240.0)}
KEYPOINTS |= {"decay_rate": 0.1, "img_size": (256, 192), "images": 150_000, "weight_decay": 0.0, "task.hflip": 0.5}
KEYPOINTS |= {"task.rotate": 45.0, "task.scale": pytest.approx(0.35), "task.flip_test": True}
SEGMENT = {"optimizer": "momentum", "momentum": 0.9, "lr": 0.2, "epochs": 240, "weight_decay": 4e-5, "images": 2975}
SEGMENT |= {"final_lr": pytest.approx(5e-4), "schedule": "cosine", "img_size": (1024, 2048)}

DENSE = (
    Fact(
        "espnet_c",
        "espnet_c_p2_q8",
        {**ESPNET, "batch_size": 12},
        "espnet.md",
        (*ESPNET_TEXT, rf"batch {n('batch_size')} \(C\)"),
    ),
    Fact(
        *("espnet", "espnet_p2_q8", {**ESPNET, "batch_size": 6}, "espnet.md"),
        (*ESPNET_TEXT, rf"batch 12 \(C\) or {n('batch_size')} \(full\)"),
    ),
    Fact(
        *("espnet_v2_segment", "espnetv2_seg_050", {**V2, "lr": 0.045, "batch_size": 40}, "espnet_v2.md"),
        (*V2_TEXT, rf"\(low resolution lr {n('base_lr')} batch 25 or {n('batch_size')};"),
    ),
    Fact(
        "espnet_v2_segment_full",
        "espnetv2_seg_050",
        {**V2, "lr": 0.025, "batch_size": 25, "freeze_norm": True},
        "espnet_v2.md",
        (*V2_TEXT, rf"batch {n('batch_size')} or 40; then full resolution lr {n('base_lr')} with BN frozen"),
    ),
    Fact(
        "micronet_keypoints",
        "micronet_m2_keypoints",
        KEYPOINTS,
        "micronet.md",
        (
            rf"from scratch, Adam, {n('epochs')} epochs, lr {n('lr')}, /10 at 210 and 240; crops 256x192",
            rf"rotation \+-{n('rotate')}, scale {n('smallest')}-",
            rf"scale 0.65-{n('largest')}, flip, half-body",
        ),
    ),
    Fact(
        "micronet_segment",
        "micronet_m1_mraspp",
        SEGMENT,
        "micronet.md",
        (
            rf"1024x2048, {n('images')} fine images, from random init, {n('epochs')} epochs, lr {n('lr')} cosine to "
            rf"{n('final')}, weight decay {n('weight_decay')}, DeepLab augmentation",
        ),
    ),
    Fact(
        "pelee_voc",
        "pelee_voc",
        {**PELEE, "lr": 0.005, "batch_size": 32, "epochs": 232, "images": 16_551}
        | {"milestones": (80_000 * 32 / 16_551, 100_000 * 32 / 16_551), "task.distort": 0.0, "task.zoom_out_prob": 0.0},
        "peleenet.md",
        (
            *PELEE_TEXT,
            rf"VOC: lr {n('lr')}, batch {n('batch_size')}, x0.1 at 80k, 100k, end {n('thousand_steps')}k iter",
        ),
    ),
    Fact(
        "pelee_coco",
        "pelee_coco",
        {**PELEE, "lr": 0.01, "batch_size": 128, "epochs": 108, "images": 118_287}
        | {"milestones": (70_000 * 128 / 118_287, 90_000 * 128 / 118_287)}
        | {"task.distort": 0.5, "task.zoom_out": 4.0, "task.zoom_out_prob": 0.5},
        "peleenet.md",
        (
            *PELEE_TEXT,
            rf"COCO: lr {n('lr')}, batch {n('batch_size')}, steps 70k, 90k, end {n('thousand_steps')}k",
            rf"distortion \(prob {n('distort')} each\) and expansion up to {n('zoom_out')}x \(prob 0.5\)",
        ),
    ),
    # No fact says how these were trained: the pins are ours.
    Fact(
        "mobilenet_v3_segment",
        "lraspp:mobilenetv3_small_100",
        {"optimizer": "momentum", "lr": 0.1, "schedule": "polynomial", "decay_power": 0.9, "batch_size": 16}
        | {"weight_decay": 4e-5, "epochs": 540, "img_size": (769, 769), "images": 2975, "task.tiles": True},
    ),
    Fact(
        "ssdlite",
        "ssdlite:mobilenetv2_100",
        {
            "optimizer": "momentum",
            "lr": 0.15,
            "schedule": "cosine",
            "batch_size": 192,
            "epochs": 660,
            "images": 118_287,
        },
    ),
    Fact(
        "light_head",
        "lighthead:shufflenetv2_100",
        {
            "optimizer": "momentum",
            "lr": 0.01,
            "schedule": "multistep",
            "batch_size": 16,
            "epochs": 30,
            "images": 118_287,
        },
    ),
)
