"""Exact rewrites of a network as a program of ATen operators: `rewritten(model, input_size)`.

program      a network as a `torch.fx.GraphModule`, and what passes ask of its nodes
layers       convolutions and linear layers with other numbers
rewrite      the passes in their order; `rewritten`
constants    what does not depend on the image, computed once
noops        what returns its input, dropped
activations  hard sigmoid and hard swish in any spelling as one operator
norms        batch norms that `pumice.graph.fold` leaves: folded, or one multiply-add, or a depthwise convolution
arithmetic   chains of additions and multiplications with constants
movement     what only moves channels; shuffles and indexing as selections
relabel      channels followed through the program: what moves them becomes an order
orders       in which order the channels of each tensor lie, and what limits it
layout       the orders chosen so that copies are few long slices
written      the program written from all that: weights renumbered, copies where they are wanted
"""
