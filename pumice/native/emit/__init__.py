"""The intermediate form as C.

source.py       a whole program
operations.py   each operation as a call
writer.py       collects the parts
choice.py       how a convolution runs, where there is a choice
geometry.py     how windows lie in what is gathered
weights.py      the numbers of a network, in the order in which the code reads them
expressions.py  point-by-point arithmetic
done.py         what is done before or after a layer, as a function
tiles.py        the innermost loops
pixels.py       convolutions of single pixels
windows.py      convolutions of windows
winograd.py     convolutions of dense windows of 3 x 3, with fewer products
depthwise.py    convolutions of windows of one plane each
grouped.py      matrices of groups of numbers
made.py         kernels that the network computes
around.py       planes copied with zeros around them
maxima.py       the largest of each window
resample.py     weighted sums of rows and columns
weave.py        planes put between each other
layers.py       everything else
functions.c     vectors, and the functions of expressions
rarer.c         functions that few networks have
others.c        fully connected layers and means
"""
