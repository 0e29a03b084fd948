"""Search: the methods of the literature behind one interface, and pruning.

trial       Trial: one network that was judged
problem     Problem: a space, what counts (reward), what it costs (cost) and how much of it is allowed (target)
cost        Cost: what a choice costs, as a number; a list of numbers
objective   Objective: how good a choice is; a callable, a table, a short training
costs       MAdds, Params, Violations, Sum, Measured: costs of real networks
table_latency  TableLatency: what a lookup table says of them
pieces      rows of networks, each looked at once, of which these costs are sums
proxy       ProxyTraining: a short training of each choice
found       a trial as a network file, which every verb takes
reward      from accuracy and cost to one number: accuracy, MnasNet's soft and piecewise forms
kept        which channels of a group stay when it is narrowed
netadapt    a trained network narrowed step by step until it keeps a budget, accuracy choosing where
prune       channels cut from a trained network, until it keeps a target
dnas        FBNet's: a supernet of candidates and their probabilities
dmasking    FBNetV2's: widths, expansions and input sides too, as masks
supernet/   networks that hold a whole space, and how they are trained
study/      a search that is kept: trials in a database, workers, resume, the run folder
scaling     compound scaling of any family (EfficientNet)
searcher    Searcher: a function of (seed, finished trials in order of number); `run` without storage
evolution   Evolution: regularised evolution
jointnas    JointNAS: a predictor that is pre-trained, of architectures and recipes
controller  the LSTM that MnasNet's search draws choices from
policy      how it learns from rewards: PPO, REINFORCE
mnasnet     MnasNet's search by reinforcement learning
"""
