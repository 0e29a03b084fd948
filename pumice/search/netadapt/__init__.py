"""NetAdapt: a trained net is narrowed step by step until it keeps a budget, measured accuracy choosing where.

    netadapt("runs/seed", "photos", target_ms=3.0, lut="desk.json", out="runs/small")

settings   Settings: step, tuning, hold-out
propose    the proposals of a step, and which of them is taken
widths     the widths that each channel group may have, and which channels stay
prices     what widths cost: multiply-adds, a table, any function
tune       a cut net: norms estimated anew, short-term tuning, accuracy on held-out images
record     netadapt.json and the weights of every step
search     the search: step after step, then corrections by measuring
measure    a net measured beside the seed
cuts       random narrower forms of a network, to fill a table from
aim        what the next net may cost, after some were measured
start      the net that it begins with, and how nets are trained
finish     the last trainings, and the run folder of the found net
run        `netadapt` and `resume`: all of it
"""

from pumice.search.netadapt.run import Result, netadapt, resume
from pumice.search.netadapt.settings import Settings

__all__ = ["Result", "Settings", "netadapt", "resume"]
