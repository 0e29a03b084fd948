"""What a network is asked to do, and how well it does it.

classify    scores of image classification: top-k, balanced accuracy, loss, confusion, per class
predictions  what it says of every validation image, and pictures of the worst mistakes
coco        COCO's evaluation of boxes and keypoints
detect      object detection
segment     a class for every pixel
"""
