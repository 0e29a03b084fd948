"""Class names of the public segmentation sets whose layouts `open_masks` knows."""

# SegNet's form of CamVid (Badrinarayanan et al., 2015): values 0 to 10, and 11 for void.
CAMVID = ("sky", "building", "pole", "road", "pavement", "tree", "sign", "fence", "car", "pedestrian", "bicyclist")
CAMVID_VOID = 11

# PASCAL VOC, in the order of its palette; 255, the border of objects, is void.
VOC = (
    *("background", "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow"),
    *("diningtable", "dog", "horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train", "tvmonitor"),
)

# Cityscapes: the value in a labelIds mask of each class that is judged, in the order of the trainIds.
CITYSCAPES = {
    "road": 7,
    "sidewalk": 8,
    "building": 11,
    "wall": 12,
    "fence": 13,
    "pole": 17,
    "traffic light": 19,
    "traffic sign": 20,
    "vegetation": 21,
    "terrain": 22,
    "sky": 23,
    "person": 24,
    "rider": 25,
    "car": 26,
    "truck": 27,
    "bus": 28,
    "train": 31,
    "motorcycle": 32,
    "bicycle": 33,
}
CITYSCAPES_LAST = 33  # the highest value; those that no class has are void

VOID_NAMES = frozenset(("void", "unlabelled", "unlabeled", "ignore"))  # in a classes.txt, of values that mean no class
