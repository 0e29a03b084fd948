"""Layers that have never heard of a family.  Each is public and usable alone.

activation      names of the papers' activations -> torch modules
conv            convolution, batch norm, activation; SAME padding
drop_path       stochastic depth
factorised      depthwise k x k as k x 1 then 1 x k (MicroNet)
gate            squeeze-and-excitation
initialise      the papers' starting weights
learned_group   learned group convolution (CondenseNet), in the forms that learns and that runs
shift_max       Dynamic Shift-Max (MicroNet)
shuffle         channel shuffle
"""
