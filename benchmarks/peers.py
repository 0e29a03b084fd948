"""How far is every network from its peers in timm, torchvision and pytorchcv, with the same weights?

    .venv/bin/python benchmarks/peers.py [NAME ...]

Prints a line a peer and writes benchmarks/peers.csv: the largest difference of the outputs, in double precision, as a
share of the difference between the outputs of two inputs.
"""

import csv
import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "tests" / "models"))

from official import difference  # noqa: E402

from pumice.models.peers import PEERS  # noqa: E402


def main() -> None:
    wanted = sys.argv[1:]
    rows = []
    for name, peers in PEERS.items():
        for peer in peers:
            if not wanted or name in wanted:
                rows.append((name, f"{peer.library}:{peer.net}", f"{difference(name, peer):.1e}"))
                print("  ".join(rows[-1]), flush=True)
    if not wanted:
        with (HERE / "peers.csv").open("w", newline="") as file:
            csv.writer(file, lineterminator="\n").writerows([("name", "peer", "difference"), *rows])


if __name__ == "__main__":
    main()
