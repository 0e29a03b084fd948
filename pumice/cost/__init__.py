"""What a network costs, counted from its graph or measured on this machine.

count.py: parameters, multiply-adds and memory access of a network, from its trace.
memory.py: peak activation memory, by the lifetime of every tensor.
catalogue.py: writes the table behind `pumice list` and `pumice info`, counted from the networks themselves.
ceilings.py: the most this machine can multiply and read in a second, measured and kept.
roofline.py: how fast each layer could be at best under those ceilings, and what sets that limit.
layer_times.py: the measured time of every layer of a profile in each runtime, beside the whole net's.
record.py: a profile with floors and times as one JSON value.
breakdown.py: where the time of a net goes: convolution, elementwise work, data movement, shuffles, the rest.
audit/: the four guidelines of ShuffleNetV2 held against any network, with edits that can be measured.
reuse.py: who reads whose features across concatenations, and what passes units untouched.
budget.py: limits as people write them (2ms, 60M, 3MB), and by how much a candidate misses them.
latency.py: wall and CPU time of one pass, contenders interleaved in one process.
contender.py: one session that is timed: its warm-up, its samples, and whether they are enough.
single_stream.py: the p90 of one query after the other, by MLPerf's rule.
node_times.py: the time of every node of a traced graph in a runtime.
timing.py: the record of one latency, measured or predicted.
lut/: tables of blocks, measured once for a device, that predict the latency of any network.
predicted.py: what a lookup table says of networks on a device that is not here, as such records.
spread.py: the confidence interval of a median or another quantile.
pinning.py: the whole process on a few quiet cores while it is timed, moved from group to group.
rank.py: rank correlations, Spearman and Kendall, and the pairs whose intervals leave the order open.
contention.py: was the machine busy with other work during a measurement?
machine.py: which machine this is, in the parts that change speed, and which runtimes it has.
database.py: measurements kept between commands, in SQLite in the user's cache folder.
guidelines/: arguments of the papers about speed, as experiments that run on this machine.
query.py: networks of the catalogue by what was measured of them here; no torch.
sweep.py: measures those that the database does not know, in interleaved groups.
timm_csv.py: measurements in the columns of timm's benchmark results.
doctor.py: what is installed, what is missing and whether this machine is fit to measure on.
remote/: the same measurements on another machine, over ssh or adb.
"""
