"""Search spaces: what a searcher may choose, position by position, and the network that a choice is.

space    Space, Position, Choice: what every space is
names    `space:NAME` and its options -> space, choice
fbnet    FBNet's 22 layers of 9 candidates
mnasnet  MnasNet's five blocks of 432 choices each, in which EfficientNet-B0 was found too
macro    NAS-Bench-Macro: 8 layers of 3, every net of which somebody trained

A found net is `space:NAME` with the option `choice`: an ordinary network, rebuilt from a name like any other.
"""
