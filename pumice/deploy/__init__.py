"""From a network to a file that runs elsewhere, and the proof that it computes the same.

session.py    one interface to every runtime; `open_session` picks by name
eager.py      the network itself, folded, in PyTorch
onnx.py       .onnx files: export through torch's exporter, ONNX Runtime
openvino.py   .xml + .bin pairs: conversion from ONNX, OpenVINO
export.py     `export`: write a file whole, compare it with the network, record what agreed
verify.py     `verify`: is this file that checkpoint, fed the same way, with the same classes
checks.py     the questions that `verify` asks
predict.py    images in, ranked class names out
network.py    a still copy of a network, its manifest, its input size
carried.py    what a file says about itself (manifest, runtimes that agreed), read without a runtime
compare.py    relative error and top-1 agreement
probes.py     generated images with the statistics of photographs
"""
