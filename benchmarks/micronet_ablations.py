"""MicroNet's ablations (ICCV 2021, arXiv:2108.05894, tables 2 to 6): what each net costs here, beside what was printed.

    .venv/bin/python benchmarks/micronet_ablations.py

Every net is M2 with options of `create_model`.  The paper says of its own only that they cost the same, so where the
widths change, they are solved for 10.6 M multiply-adds of convolutions and head (`madds`); the rows of activations,
places, J and K have the released widths.  Trains nothing.

params, conv + linear, + applied: of the net here, millions; the last adds what hyper-functions multiply when they are
applied (SE's product is not counted).  printed: parameters, multiply-adds, top-1 after 300 epochs, by the paper.
"""

from typing import Any

import torch

from pumice.cost.count import profile
from pumice.models.create import create_model
from pumice.models.families import spec_of
from pumice.models.micronet_blocks import Lite, Regular, Stem

NET = "micronet_m2"
SOLVED: dict[str, Any] = {"madds": 10_600_000, "activation": "relu"}
MOBILENET = {**SOLVED, "lite": "none", "full_rank": True}
Row = tuple[str, dict[str, Any], str]  # name, options, what the paper printed
TABLES: dict[str, list[Row]] = {
    "From MobileNetV2 to MicroNet (table 2)": [
        ("MobileNetV2-like", MOBILENET, "1.3 10.6 44.9"),
        ("+ depthwise factorised", {**SOLVED, "lite": "none", "groups": "fixed"}, "1.7 10.6 46.4"),
        ("+ pointwise factorised", {**SOLVED, "lite": "none"}, "1.7 10.6 50.0"),
        ("+ lite at low levels", SOLVED, "1.8 10.5 51.7"),
        ("+ static Shift-Max, released widths", {"activation": "static_shift_max"}, "1.9 11.8 54.4"),
        ("or + Dynamic Shift-Max, released widths", {}, "2.4 12.4 58.5"),
    ],
    "Fixed group number G": [
        (f"G = {g}", {**SOLVED, "groups": "fixed", "fixed_groups": g}, printed)
        for g, printed in ((1, "1.3 10.6 48.8"), (2, "1.5 10.5 50.2"), (4, "1.7 10.6 50.7"), (8, "1.7 10.6 50.8"))
    ]
    + [("G = sqrt(C / R)", SOLVED, "1.8 10.5 51.7")],
    "lambda = G / sqrt(C / R)": [
        (f"lambda = {x}", {**SOLVED, "groups": "adaptive", "lambda_": x}, printed)
        for x, printed in (
            (0.25, "1.5 10.5 50.2"),
            (0.5, "1.7 10.6 51.6"),
            (1.0, "1.8 10.5 51.7"),
            (2.0, "2.1 10.5 50.6"),
            (4.0, "2.2 10.7 47.6"),
        )
    ],
    "Lite combination": [
        ("nowhere", {**SOLVED, "lite": "none"}, "1.7 10.6 50.0"),
        ("low levels", SOLVED, "1.8 10.5 51.7"),
        ("low and high levels", {**SOLVED, "lite": "both"}, "2.0 10.6 51.2"),
    ],
    "Activation, released widths (table 4)": [
        ("ReLU", {"activation": "relu"}, "1.8 10.5 51.7"),
        ("SE + ReLU", {"activation": "se"}, "2.1 10.9 54.4"),
        ("Dynamic ReLU", {"activation": "dynamic_relu"}, "2.4 11.8 56.0"),
        ("Dynamic Shift-Max", {}, "2.4 12.4 58.5"),
    ],
    "Places of Dynamic Shift-Max, released widths (table 5)": [
        (places, {"places": places}, printed)
        for places, printed in (
            ("none", "1.8 10.5 51.7"),
            ("A1", "2.1 11.3 55.9"),
            ("A2", "2.0 10.6 53.3"),
            ("A3", "2.1 11.2 54.8"),
            ("A1+A2", "2.2 11.5 56.6"),
            ("A1+A3", "2.3 12.2 57.9"),
            ("A2+A3", "2.2 11.4 55.5"),
            ("all", "2.4 12.4 58.5"),
        )
    ],
    "J copies, K candidates, released widths (table 6)": [
        (f"J = {j}, K = {k}", {"form": "paper", "j": j, "k": k}, printed)
        for j, k, printed in (
            (1, 1, "2.1 10.9 54.4"),
            (2, 1, "2.2 11.8 55.9"),
            (2, 2, "2.4 12.4 58.5"),
            (2, 3, "2.6 13.8 58.1"),
            (1, 2, "2.2 11.2 55.5"),
            (3, 2, "2.6 14.2 59.0"),
            (3, 3, "2.8 15.3 59.1"),
        )
    ],
}


def widths(options: dict[str, Any]) -> str:
    """Stem and output widths, row by row."""
    rows = spec_of(NET, options).rows
    stem = rows[0]
    assert isinstance(stem, Stem)
    return " ".join(map(str, [stem.q * stem.e, *(r.out_channels for r in rows if isinstance(r, Lite | Regular))]))


def main() -> None:
    print("| net | params | conv + linear | + applied | printed: params, MAdds, top-1 | widths |")
    print("| --- | --: | --: | --: | --: | --- |")
    for title, rows in TABLES.items():
        print(f"| **{title}** | | | | | |")
        for name, options, printed in rows:
            with torch.device("meta"):
                found = profile(create_model(NET, **options), (3, 224, 224))
            total = found.madds + found.extra_madds
            sizes = " | ".join(f"{n / 1e6:.3f}" for n in (found.params, found.madds, total))
            print(f"| {name} | {sizes} | {printed} | {widths(options)} |", flush=True)


if __name__ == "__main__":
    main()
