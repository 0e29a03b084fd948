"""Arguments of the papers about speed, as experiments that run on this machine.

experiment.py     what an experiment is: cases in columns, published figures, claims about which case is faster
experiments.py    the experiments by name, loaded when asked for
stack.py          the block of an experiment, repeated
shufflenet_v2.py  the four guidelines (tables 1 to 4 of ShuffleNetV2)
units.py          ten units of four families (its appendix, table 1b)
mobilenet_v3.py   h-swish, the efficient tail and the stem of MobileNetV3
kernels.py        3x3 against 1x1 against 3x1 and 1x3
judge.py          does a claim hold, judged by the intervals of two medians
measure.py        run experiments: the cases of one column interleaved, runtime after runtime
"""
