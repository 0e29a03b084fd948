"""Object detection.

average_precision  COCO's and Pascal VOC's average precision of boxes
scores             how well a detector does on one set of images
"""
