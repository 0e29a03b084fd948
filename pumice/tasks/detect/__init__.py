"""Object detection.

priors             prior boxes, offsets from them and back
"""
