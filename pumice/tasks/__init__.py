"""What a network is asked to do, and how well it does it.

task        what every dense task promises
names       dense tasks by name; the network that a name means for one
evaluate    scores of a dense network, however it is run
runner      sessions and modules as functions
found       what a dense network finds in one image: as JSON values, as a picture
predict     images in, what is found in them out
drawing     boxes, masks and joints on a picture
pictures    predictions beside the truth, for a report
classify    scores of image classification: top-k, balanced accuracy, loss, confusion, per class
predictions  what it says of every validation image, and pictures of the worst mistakes
coco        COCO's evaluation of boxes and keypoints
detect      object detection
segment     a class for every pixel
keypoints   joints of persons
"""
