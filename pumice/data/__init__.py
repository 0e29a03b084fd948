"""Images: finding them, reading them, and making them into what a network reads.

Only the pipelines, `pose_samples`, `order` and `stream_loader` import torch.

image        one image file of any valid kind -> RGB
images       what a set of labelled images is; train and validation together; natural order
describe     what a set is, as a record for run folders
split        which images of a set are kept for validation
changes      whether images are still those that a network was trained on
folder       image folders
digits       scikit-learn's scanned digits, the set that needs no files
labels       numbers and words as shards and tables hold them -> classes
hub          data sets of the Hugging Face hub, and folders of parquet files
tar          one WebDataset shard, member by member
shards       local shards, indexed: any image at once, like a folder
web          shards read from front to back, over http(s) or local
stream       what images are that cannot be indexed; the first of them to judge by
streams      what a user typed -> such a stream
open         what a user typed -> one of those that have an index, or a list of images to predict
inspect      kind, size and fingerprints of every image of a set
alike        which of many images are nearly the same
check        what is wrong with a data set
memory       decoded images kept in memory within a limit
open_dense   boxes, masks or poses, as the task wants them
check_dense  whether such a set is fit to learn from
summary      what a data set of any dense task holds, and what would hurt
boxes        what images with boxes are
annotated    what annotation files say of images -> such a set, and what of it cannot be used
headers      what many image files say of themselves; the damaged ones
coco, voc, yolo  readers of the three forms in which people keep boxes
open_boxes   what a user typed -> training and validation images with boxes
box_summary  what such a set holds: boxes of each class, how many an image, how large
box_augment  the random changes of training images with boxes
box_pipeline  torch data sets of images with boxes
video        a video frame by frame
imagenet     names of the classes of ImageNet
preprocess   RGB image -> network input, for validation, prediction and verification
augment      the random changes of training images, as values
masks        what images with a class for every pixel are
mask_classes  class names of CamVid, VOC and Cityscapes
mask_layouts  which mask belongs to which image, layout by layout
open_masks   a folder of images and masks, opened and looked through
mask_augment  random changes of image and mask together
mask_summary  how the pixels of a set are shared out among its classes
tiles        an image piece by piece at its own size
mask_pipeline  torch data sets of images with masks
skeleton     joints, their mirror images, tolerances, and the lines between them
poses        what images with persons and joints are
open_poses   COCO's keypoints files -> training and validation persons
person_boxes  boxes of persons that a detector has written
pose_crop    the part of an image around a person, and points from the one to the other
pose_summary  how many persons a set has, and how often each joint is labelled
pose_samples  torch data sets of persons: inputs and heatmaps
order        the order in which an epoch shows a set
pipeline     torch data loaders whose batches depend on seed, epoch and index only
stream_loader  batches of a stream, which go on where they were stopped
"""
