"""Layers that have never heard of a family.  Each is public and usable alone.

activation      names of the papers' activations -> torch modules
cond_conv       CondConv
channelwise     channel-wise convolutions and classifier (ChannelNets)
conv            convolution, batch norm, activation; SAME padding
drop_path       stochastic depth
dynamic_relu    Dynamic ReLU
eesp            the same with depthwise branches, and its strided form with the image (ESPNetV2)
esp             efficient spatial pyramid of dilated convolutions (ESPNet)
factorised      depthwise k x k as k x 1 then 1 x k; 1 x 1 as two grouped ones with a shuffle between (MicroNet)
gate            squeeze-and-excitation
ghost           Ghost module and bottleneck (GhostNet)
initialise      the papers' starting weights
interleaved     interleaved group convolutions (IGCV1)
inverted_residual   the inverted residual with linear bottleneck (MobileNetV2), with gates and shortcuts of later papers
learned_group   learned group convolution (CondenseNet), in the forms that learns and that runs
pyramid_pool    depthwise convolutions of one map at several sizes (EdgeNets)
shift_max       Shift-Max, dynamic and static (MicroNet)
shuffle         channel shuffle
spatial_attention   where a map matters, for Dynamic ReLU and Shift-Max in dense tasks
structured_sparse   interleaved structured sparse convolutions (IGCV2)
weight_net      WeightNet: convolutions whose kernels the image makes
"""
