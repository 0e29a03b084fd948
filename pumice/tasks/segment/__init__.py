"""Semantic segmentation: a class for every pixel.

task      the task: options, data sets, loss, judge
loss      cross-entropy that leaves void pixels out, with weights of the classes
iou       confusion of pixels, intersection over union
decode    what a network answers -> a class for every pixel of the image
found     what is found in one image: JSON values, a picture
judge     answers against masks, batch by batch
"""
