"""`benchmarks/recipes.py` says which net shows each recipe, and when a loss has fallen as it must."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[2] / "benchmarks"))
