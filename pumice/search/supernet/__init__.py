"""Networks that hold a whole search space, and how their weights and architecture are trained in turn.

learn       from images to what a supernet prefers
gates       Gates: how much of each option a pass uses; Gumbel softmax, one-hot, entropy
relaxed     Relaxed: what such a network is; `objective`, the loss CE * alpha * log(cost)^beta
mixed       Supernet: every candidate of every layer of a chain, added up
additive    `additive(cost, space)`: a cost that is a sum over the positions, as a table
schedule    Schedule: epochs, learning rates, temperature
images      training images in two parts, for the weights and for the architecture
alternate   the loop: weights, then architecture, epoch by epoch; resumes exactly
sampled     Sampled: a Searcher that draws networks from what was learnt
masked      channel masks: every width of a layer in one convolution of the largest
masked_net  DMaskingNAS's supernet, of blocks, widths and input sides
scattered   a layer at several resolutions, on a subset of the pixels
"""
