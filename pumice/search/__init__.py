"""Search: the methods of the literature behind one interface, and pruning.

trial       Trial: one network that was judged
problem     Problem: a space, what counts (reward), what it costs (cost) and how much of it is allowed (target)
cost        Cost: what a choice costs, as a number; MAdds, parameters, tables, measurements, guideline violations
objective   Objective: how good a choice is; a callable, a table, a short training
found       a trial as a network file, which every verb takes
reward      from accuracy and cost to one number: accuracy, MnasNet's soft and piecewise forms
searcher    Searcher: a function of (seed, finished trials in order of number); `run` without storage
evolution   Evolution: regularised evolution
jointnas    JointNAS: a predictor that is pre-trained, of architectures and recipes
controller  the LSTM that MnasNet's search draws choices from
policy      how it learns from rewards: PPO, REINFORCE
mnasnet     MnasNet's search by reinforcement learning
"""
