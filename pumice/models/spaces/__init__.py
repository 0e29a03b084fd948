"""Search spaces: what a searcher may choose, position by position, and the network that a choice is.

space     Space, Position, Choice: what every space is
names     `space:NAME` and its options -> space, choice
layered   Layered: a position is a layer of a chain, as supernets want it
fbnet     FBNet's 22 layers of 9 candidates
fbnet_v2  FBNetV2's: input side, widths, expansions and blocks
macro     NAS-Bench-Macro: 8 layers of 3, every net of which somebody trained

A found net is `space:NAME` with the option `choice`: an ordinary network, rebuilt from a name like any other.
"""
