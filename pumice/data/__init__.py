"""Images: finding them, reading them, and making them into what a network reads.

Only `pipeline` imports torch.

image        one image file of any valid kind -> RGB
images       what a set of labelled images is; train and validation together; natural order
describe     what a set is, as a record for run folders
split        which images of a set are kept for validation
folder       image folders
digits       scikit-learn's scanned digits, the set that needs no files
open         what a user typed -> one of the above, or a list of images to predict
memory       decoded images kept in memory within a limit
imagenet     names of the classes of ImageNet
preprocess   RGB image -> network input, for validation, prediction and verification
augment      the random changes of training images, as values
pipeline     torch data loaders whose batches depend on seed, epoch and index only
"""
