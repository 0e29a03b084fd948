"""How tensors of other libraries become ours, a file per family that needs more than the order of execution.

rule                what a conversion is
tables              every family's conversions, and settings that many sources share
squeezenet, shufflenet_v1, ...      one file per family: `CONVERSIONS`, source -> Conversion
"""
