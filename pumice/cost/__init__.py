"""What a network costs, counted from its graph or measured on this machine.

count.py: parameters, multiply-adds and memory access of a network, from its trace.
memory.py: peak activation memory, by the lifetime of every tensor.
catalogue.py: writes the table behind `pumice list` and `pumice info`, counted from the networks themselves.
budget.py: limits as people write them (2ms, 60M, 3MB), and by how much a candidate misses them.
latency.py: wall and CPU time of one pass, contenders interleaved in one process.
timing.py: the record of one measured latency.
spread.py: the confidence interval of a median.
pinning.py: the whole process on a few quiet cores while it is timed.
contention.py: was the machine busy with other work during a measurement?
machine.py: which machine this is, in the parts that change speed, and which runtimes it has.
database.py: measurements kept between commands, in SQLite in the user's cache folder.
doctor.py: what is installed, what is missing and whether this machine is fit to measure on.
"""
