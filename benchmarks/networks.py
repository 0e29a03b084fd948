"""Is every network what it should be?  Counts of the built networks against the list of facts, and docs/networks.md.

    .venv/bin/python benchmarks/networks.py [--facts variants.csv] [--write]

Without --facts the list is tests/golden/counts.csv.  Ends 1 when a row of status `exact` differs or is missing.
"""

import argparse
import csv
import sys
from collections import Counter
from pathlib import Path

import torch

from pumice.cost.count import profile
from pumice.models.catalogue import Entry, entries
from pumice.models.create import create_model
from pumice.models.families import variant, variants
from pumice.models.peers import PEERS, published_weights
from pumice.models.pretrained import PACKAGED

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "networks.md"
OPENING = """# Networks

Written by `python benchmarks/networks.py --write`; do not edit. Parameters and multiply-adds are those of the built
networks, at the input and classes of the published net; *top-1* is what the paper or its repository printed (ImageNet,
percent).

* *exact*: the definition is fully known, and the counts equal the independent list to the last digit.
* *reconstruction*: a detail was never published; the notes say what is inferred.
* *optional*: outside the papers of the family.
* *weights*: where `pretrained=True` finds them.
* *peer*: the same function in another library once its weights are converted, with the largest difference of the
  outputs as a share of the difference between two inputs' outputs (double precision, `benchmarks/peers.py`).

"""


def counted(name: str, size: tuple[int, int]) -> tuple[int, int]:
    """(params, madds) of the built network."""
    with torch.device("meta"):
        model = create_model(name)
    found = profile(model, (3, *size))
    return found.params, found.madds


def compare(facts: Path) -> Counter[str]:
    """Print a line a row; how many of each status differ, or are missing."""
    wrong: Counter[str] = Counter()
    rows = list(csv.DictReader(facts.open(encoding="utf-8")))
    for row in rows:
        sides = row["input"].split("x") if "input" in row else (row["height"], row["width"])
        size = (int(sides[0]), int(sides[-1]))
        want = int(row["params"]), int(row["madds"])
        if row["name"] in variants():
            found = counted(row["name"], size)
            status = "equal" if found == want and variant(row["name"]).status == row["status"] else f"built {found}"
        else:
            status = "not built"
        wrong[row["status"]] += status != "equal"
        print(f"{row['name']:34} {row['status']:14} {want[0]:>12,} {want[1]:>16,}  {status}", flush=True)
    total = Counter(row["status"] for row in rows)
    for status, count in total.items():
        print(f"{status}: {count} rows, {wrong[status]} differences")
    return wrong


def weights(name: str) -> str:
    """Where `pretrained=True` finds weights."""
    peer = published_weights(name)
    places = [PACKAGED[name][0].replace("_", "-")] if name in PACKAGED else []
    return ", ".join([*places, *([f"{peer.library}:{peer.net}"] if peer else [])]) or "-"


def peers(name: str, differences: dict[tuple[str, str], str]) -> str:
    """The peers and how far they are."""
    found = [f"{peer.library}:{peer.net}" for peer in PEERS.get(name, ())]
    return "<br>".join(f"{peer} {differences.get((name, peer), '')}" for peer in found) or "-"


def page() -> str:
    """docs/networks.md."""
    table = csv.DictReader((ROOT / "benchmarks" / "peers.csv").open(encoding="utf-8"))
    differences = {(row["name"], row["peer"]): row["difference"] for row in table}
    families: dict[str, list[Entry]] = {}
    for e in entries():
        families.setdefault(e.family, []).append(e)
    total = Counter(e.status for e in entries())
    parts = [
        OPENING,
        f"{len(entries())} networks in {len(families)} families: "
        + ", ".join(f"{count} {status}" for status, count in total.items())
        + ".\n",
    ]
    for family, rows in families.items():
        parts.append(f"## {family}\n\n{rows[0].paper}\n")
        parts.append("| name | input | params | MAdds | top-1 | published as | source | status | weights | peer |")
        parts.append("| --- | --- | ---: | ---: | ---: | --- | --- | --- | --- | --- |")
        for e in rows:
            printed = e.published or {}
            cells = (
                f"`{e.name}`",
                "x".join(map(str, e.input_size[1:])),
                f"{e.params:,}",
                f"{e.madds:,}",
                printed.get("top1") or printed.get("other") or "-",
                printed.get("variant", "-"),
                printed.get("source", "-"),
                e.status,
                weights(e.name),
                peers(e.name, differences),
            )
            parts.append("| " + " | ".join(str(cell).replace("|", "/") for cell in cells) + " |")
        notes = [f"* `{e.name}`: {e.note}{apart(e)}" for e in rows if e.note]
        parts.append("\n" + "\n".join(notes) + "\n" if notes else "")
    return "\n".join(parts)


def apart(e: Entry) -> str:
    """How far a reconstruction is from what was printed."""
    if e.status != "reconstruction" or not e.deviation:
        return ""
    return " (" + ", ".join(f"{key} {share:+.1%}" for key, share in e.deviation.items()) + " from the printed figures)"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--facts", type=Path, default=ROOT / "tests" / "golden" / "counts.csv")
    parser.add_argument("--write", action="store_true", help="write docs/networks.md and compare nothing")
    arguments = parser.parse_args()
    if arguments.write:
        PAGE.write_text(page(), encoding="utf-8")
        return
    sys.exit(1 if compare(arguments.facts)["exact"] else 0)


if __name__ == "__main__":
    main()
