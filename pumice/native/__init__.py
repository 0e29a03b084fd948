"""The native engine: from a network to C.

expression.py   point-by-point arithmetic
ir.py           the intermediate form: operations over planes
read.py         from a network to the intermediate form, by kind of operator: read_layers, read_transposed
                (convolutions), read_moves, read_pads, read_resamples (where numbers lie), read_points,
                read_activations (each number), read_channels, read_norms (over channels, over planes)
interpret.py    the intermediate form run by torch, to compare with
passes/         what makes it faster
plan.py         where each plane lies in memory
emit/           the intermediate form as C
files.py        the folder of C and the library that are handed out, their templates in interface/
build.py        the user's C compiler
profiled.py     a program compiled with a clock around each operation
tune.py         which way of running each convolution is fastest here (candidates: the ways there are)
"""
