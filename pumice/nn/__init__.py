"""Layers that have never heard of a family.  Each is public and usable alone.

activation      names of the papers' activations -> torch modules
cond_conv       CondConv
conv            convolution, batch norm, activation; SAME padding
drop_path       stochastic depth
factorised      depthwise k x k as k x 1 then 1 x k (MicroNet)
gate            squeeze-and-excitation
initialise      the papers' starting weights
shift_max       Dynamic Shift-Max (MicroNet)
shuffle         channel shuffle
weight_net      WeightNet: convolutions whose kernels the image makes
"""
