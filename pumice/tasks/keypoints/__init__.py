"""Keypoints of persons, top down: a box each, a heatmap per joint.

task      options, data, loss and judge
loss      squared error of heatmaps, of the hardest joints alone where asked
decode    heatmaps -> joints in the image, and the flip test
oks       object keypoint similarity, its average precision, and poses that are the same person found twice
pck       share of joints that lie near enough
scores    how well a network does on one set of persons
judge     collects what a network answers and scores it
"""
