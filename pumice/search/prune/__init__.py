"""Pruning: a network that loses channels until it keeps a target, tuned, and equal to its masked self.

    pruned, result = pumice.prune(model, target_madds="50%")

target       what may remain: a share, a count of multiply-adds, or a latency
importance   how much each channel matters: L1, L2, scales of batch norms, Taylor expansion
widths       how many channels a group may keep, and which stay
counts       multiply-adds and parameters of any cut, by arithmetic over one trace
choose       the cut of a network that lands just below a count
clock        latencies of cut networks: measured in a runtime, or predicted by a table
tune         statistics of batch norms anew, and training between cuts
prune        `prune`: all of it, once or in steps
record       the run folder of a pruned network
"""
