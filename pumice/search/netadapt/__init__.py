"""NetAdapt: a trained net is narrowed step by step until it keeps a budget, measured accuracy choosing where.

    netadapt("runs/seed", "photos", target_ms=3.0, lut="desk.json", out="runs/small")

settings   Settings: step, tuning, hold-out
propose    the proposals of a step, and which of them is taken
widths     the widths that each channel group may have, and which channels stay
prices     what widths cost: multiply-adds, a table, any function, by re-keying
tune       a cut net: norms estimated anew, short-term tuning, accuracy on held-out images
record     netadapt.json and the weights of every step
run        `netadapt`: the search, its corrections by measuring, the final training
"""

from pumice.search.netadapt.run import Result, netadapt, resume
from pumice.search.netadapt.settings import Settings

__all__ = ["Result", "Settings", "netadapt", "resume"]
