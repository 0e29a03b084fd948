"""The traced graph: what machines measure and shrink.

records   Value, Node, Layer, Graph: the frozen result of a trace
ops       the table of known operators and their kinds; `UnknownOp`
modules   which module runs, and the guard that leaves a model exactly as it was
shapes    what the commonest operators return
stand_in  operators on tensors without numbers
recorder  the dispatch mode that writes every operator down
layers    nodes -> layer records: multiply-adds, parameters, memory access
inputs    the input size that a model declares or implies
channel_ids     a number for each channel, laid over values, and ties between them
channel_flow    channels followed through the operators of a trace
channel_rules   what each operator does to them
channels  `channel_groups(graph)`: channels that stand or fall together
cut       `cut(model, groups, kept)`: the network without the others, and `masked`, which it must equal
trace     `trace(model, input_size) -> Graph`
edit      `apply(graph, changes)`: operators bypassed, swapped or of another width, every shape inferred anew
resized   `Resized`: the graph at other widths of its channel groups, mostly by arithmetic
fold      `fold_norms(model)`: batch norms folded into the layers that feed them, where that is exact
rewrites/ exact rewrites of a network as a program of ATen operators
"""
