"""Object detection.

task               training, judging and decoding as every task promises them
priors             prior boxes, and boxes from offsets
match              which prior learns which object
loss               SSD's loss, with hard negatives
two_stage          the loss of proposals and of what becomes of them
decode             outputs -> detections
found              what is found in one image: JSON values, a picture
judge              detections of a whole set, scored
average_precision  COCO's and Pascal VOC's average precision of boxes
scores             how well a detector does on one set of images
"""
