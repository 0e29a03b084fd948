"""From a network to a file that runs elsewhere, and the proof that it computes the same.

session.py    one interface to every runtime; `open_session` picks by name, without torch for a file
network_session.py a network, name or checkpoint as a session
eager.py      the network itself, folded, in PyTorch
formats.py    the formats and the runtimes that read them, a line each
trusted.py    files that are code open only where they were written
pt2.py        torch.export programs in .pt2, run by PyTorch
inductor.py   .pt2 files of machine code, by AOTInductor
onnx.py       .onnx files through torch's exporter
onnx_header.py what an .onnx file says of its input and of itself, read without the onnx package
onnxruntime.py .onnx files in ONNX Runtime
direct/       .onnx straight from the traced graph in tenths of a second, for measuring
op_times.py   how long each operator of a file takes, by the runtime's own profiler
openvino.py   .xml + .bin pairs: conversion from ONNX, OpenVINO
native.py     Pumice's own engine: .so files, and folders of C that are compiled where they are opened
native_writing.py the C of a network, and its library
instead.py    functions computed otherwise while a network is traced
averages.py   averages over large maps in two steps, where a runtime adds up number by number
litert.py     .tflite files in LiteRT
executorch.py .pte programs in ExecuTorch; executorch_lowering.py: what it cannot say, otherwise; executorch_int8.py
ncnn.py       .param + .bin pairs in ncnn; ncnn_lowering.py likewise, ncnn_param.py reads them first
schemes/      files of 8-bit integers: ways to make them, and which pays
baked.py      preprocessing inside the graph: files that read pixels
package/      a folder that classifies pictures without Pumice and without torch
web/          a page that classifies pictures in a browser, offline
export.py     `export`: write a file whole, compare it with the network, record what agreed
verify.py     `verify`: is this file that checkpoint, fed the same way, with the same classes
checks.py     the questions that `verify` asks
diagnose.py   which fault a file that disagrees has
bisect.py     the first layer that differs
predict.py    images in, ranked class names out
lower.py      what pays in a format's runtime before a network is written: folding and exact rewrites
network.py    a still copy of a network, its manifest, its input size
carried.py    what a file says about itself (manifest, runtimes that agreed), read without a runtime
compare.py    relative error and top-1 agreement
parity.py     the same beside the spread between images, which a network that ignores its image cannot pass
probes.py     generated images with the statistics of photographs
silence.py    quiet around libraries that print
"""
