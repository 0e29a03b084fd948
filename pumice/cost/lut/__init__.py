"""Lookup tables of latency: measured once for a device and runtime, then asked in microseconds, anywhere.

    lut = build("onnxruntime"); lut.save("desk.json")
    Lut.load("desk.json").predict(blocks_of(create_model("ghostnet_100"), (3, 224, 224)))

blocks.py       a traced graph as blocks: an operator and what runtimes fuse into it
features.py     a block as numbers, and which blocks share a regression
regression.py   times of blocks that were never measured, with their uncertainty
table.py        the table: entries, regressions, correction of whole networks; one JSON file
probes.py       random networks that fill a table
probe_units.py  the units that they are made of
build.py        measures networks, here or on a device, and charges their blocks
ask.py          networks as blocks; a table extended by networks that are measured
additive.py     latency of a search-space point as a sum over its choices, given or fitted
"""
