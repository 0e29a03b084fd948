"""Do the counts of all networks agree with torch's own counter, and with what was printed?

    .venv/bin/python benchmarks/counting.py [FILTER] [--all] [--others]

Multiply-adds against `torch.utils.flop_counter`, halved, on tensors without numbers; then every deviation of more than
2 % from the published figure, with its reason.  --all counts the three largest networks too.  --others shows what thop,
ptflops and fvcore say of four networks, where they are installed (docs/counting.md).  Ends 1 when torch's counter
disagrees anywhere, or a deviation has no reason.
"""

import argparse
import contextlib
import copy
import io
import logging
import re
import sys
import warnings
from importlib.util import find_spec
from typing import Any

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from pumice.graph.trace import trace
from pumice.models.catalogue import Entry, entries
from pumice.models.create import create_model
from pumice.progress import track

LARGE = 40e9
TOLERATED = 0.02
EXAMPLES = ("mobilenetv2_100", "shufflenetv2_100", "micronet_m0", "weightnet_shufflenetv2_100")
REASONS = {  # where the network's own note does not tell
    "squeezenet1_0": "printed for 227 x 227 pixels and a padded conv10, which give 861 M",
    "squeezenet1_1": "unexplained: half of the README's 0.72 GFLOPs; the convolutions do 388 M at 227 pixels",
    "shufflenetv1_g8_050": "the table prints one budget, 38 M, for the whole column; the widths are the released ones",
    "semnasnet_035": "every figure of that README is 1 to 2.5 % above the convolutions: other operators are counted",
    "efficientnet_b[457]": "unexplained: the paper's figures are 2 to 4 % below the convolutions of the released nets",
    "efficientnet_lite.": "figures of that README are 3 to 6 % above the convolutions: other operators are counted",
    "condensenet74_c._g.": "the authors' counter adds an operation for each element of ReLU, k k for each pooled one, "
    "and biases: 529.3 M and 274.2 M",
    "condensenet_?.*_cifar": "the authors' counter adds operations of ReLU and pooling",
    "igcv1_.*": "printed with two digits",
    "espnet_p2_q8": "unexplained: printed with two digits in the authors' README, whose convention is not stated",
    "espnetv2_ssd_.*": "unexplained: printed with two digits in the authors' README, whose convention is not stated",
}


def halved(name: str, size: tuple[int, ...]) -> tuple[int, float | str]:
    """(our multiply-adds, half of torch's count or why there is none)."""
    with torch.device("meta"):
        model = create_model(name).eval()
    ours = trace(model, size).madds
    try:
        with FlopCounterMode(display=False) as counter, torch.no_grad(), torch.device("meta"):
            model(torch.empty(1, *size, device="meta"))
    except Exception as error:
        return ours, f"torch's counter fails: {str(error).splitlines()[0][:100]}"
    return ours, counter.get_total_flops() / 2


def reason(entry: Entry) -> str:
    """Why the count is not the printed one, "" when nobody knows."""
    known = [text for pattern, text in REASONS.items() if re.fullmatch(pattern, entry.name)]
    return "; ".join([entry.note, *known] if entry.note else known)


def against_torch(chosen: list[Entry]) -> int:
    """Print every disagreement; how many there are."""
    failed: list[str] = []
    wrong = 0
    for entry in track(chosen, "counting"):
        ours, theirs = halved(entry.name, entry.input_size)
        if isinstance(theirs, str):
            failed.append(f"{entry.name}: {theirs}")
        elif ours != theirs or ours != entry.madds:
            wrong += 1
            print(f"{entry.name}: {ours:,} here, {theirs:,.1f} by torch, {entry.madds:,} in the catalogue")
    print(
        f"torch.utils.flop_counter, halved: {len(chosen) - wrong - len(failed)} of {len(chosen)} networks agree exactly"
    )
    print("\n".join(failed))
    return wrong


def against_print(chosen: list[Entry]) -> int:
    """Print every deviation above the tolerated; how many have no reason."""
    printed = [entry for entry in chosen if "madds" in entry.deviation]
    far = [entry for entry in printed if abs(entry.deviation["madds"]) > TOLERATED]
    for entry in far:
        figure = (entry.published or {})["madds_m"]
        print(
            f"{entry.name:30} {entry.madds / 1e6:10.2f} M, printed {figure:g} M ({entry.deviation['madds']:+.1%}, "
            f"{entry.status}): {reason(entry) or 'NO REASON GIVEN'}"
        )
    unknown = sum(not reason(entry) for entry in far)
    open_ = sum("unexplained" in reason(entry) for entry in far)
    print(
        f"published multiply-adds: {len(printed) - len(far)} of {len(printed)} within {TOLERATED:.0%}, "
        f"{len(far)} further away, {open_ + unknown} of them unexplained"
    )
    return unknown


def others(name: str) -> dict[str, float | str]:
    """What other counters say."""
    size = next(entry.input_size for entry in entries() if entry.name == name)
    model = create_model(name).eval()
    found: dict[str, float | str] = {"pumice": trace(model, size).madds}
    for tool, count in (("thop", _thop), ("ptflops", _ptflops), ("fvcore", _fvcore)):
        if find_spec(tool) is None:
            found[tool] = "not installed"
            continue
        with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found |= count(copy.deepcopy(model), size)
    return found


def _thop(model: nn.Module, size: tuple[int, ...]) -> dict[str, Any]:
    from thop import profile  # type: ignore[import-not-found]

    return {"thop": profile(model, (torch.zeros(1, *size),), verbose=False)[0]}


def _ptflops(model: nn.Module, size: tuple[int, ...]) -> dict[str, Any]:
    from ptflops import get_model_complexity_info  # type: ignore[import-not-found]

    options = {"as_strings": False, "print_per_layer_stat": False}
    return {
        f"ptflops ({backend})": get_model_complexity_info(copy.deepcopy(model), size, backend=backend, **options)[0]
        for backend in ("pytorch", "aten")
    }


def _fvcore(model: nn.Module, size: tuple[int, ...]) -> dict[str, Any]:
    from fvcore.nn import FlopCountAnalysis  # type: ignore[import-not-found]

    logging.getLogger("fvcore").setLevel(logging.ERROR)
    return {"fvcore": FlopCountAnalysis(model, torch.zeros(1, *size)).total()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("filter", nargs="?", default="", help="only networks whose name contains this")
    parser.add_argument("--all", action="store_true", help=f"also networks above {LARGE / 1e9:.0f} G multiply-adds")
    parser.add_argument("--others", action="store_true", help="show what thop, ptflops and fvcore say")
    arguments = parser.parse_args()
    if arguments.others:
        for name in EXAMPLES:
            said = others(name).items()
            print(name, ", ".join(f"{tool} {n if isinstance(n, str) else f'{n:,.0f}'}" for tool, n in said), flush=True)
        return
    chosen = [entry for entry in entries() if arguments.filter in entry.name]
    wrong = against_torch([entry for entry in chosen if arguments.all or entry.madds < LARGE])
    sys.exit(1 if against_print(chosen) + wrong else 0)


if __name__ == "__main__":
    main()
