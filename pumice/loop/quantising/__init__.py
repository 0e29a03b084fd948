"""`quantize`: a network as a file of 8-bit integers, where that pays.

source         the network, its data, and what cannot be quantised
minimum        the oldest versions of toolkits and runtimes that are used
drop           accuracy that a file loses, on the same images, with an interval
speed          files timed side by side, compared on one clock
floats         the float32 files that have to be beaten
qat            a few epochs in which the network learns to bear the rounding
attempt        a file that was tried: how it was made, what it costs, why it was refused
tries          makes, judges and times attempts
auto           every scheme, as far as it pays
place          the chosen file goes where it was asked for
quantize       all of it
"""
