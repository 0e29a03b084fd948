"""Search spaces: what a searcher may choose, position by position, and the network that a choice is.

space    Space, Position, Choice: what every space is
names    `space:NAME` and its options -> space, choice
fbnet    FBNet's 22 layers of 9 candidates

A found net is `space:NAME` with the option `choice`: an ordinary network, rebuilt from a name like any other.
"""
