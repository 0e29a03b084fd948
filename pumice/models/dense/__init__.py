"""Dense tasks on any backbone: `HEAD:BACKBONE` is a network, `ssdlite:mobilenetv3_large_100` or `lraspp:timm:resnet18`.

plan      what a head asks of a backbone: which maps, of which rows
encoder   a backbone as the trunk of a dense network: its chosen maps, some from inside a block
spec      a backbone and a head as a spec
net       the built network
heads     the table of heads
ssd       SSD and SSDLite
light_head  Light-Head R-CNN
segment   what heads of segmentation share: the end of the backbone, halved last stages
aspp      DeepLabV3's head
raspp     MobileNetV2's
lraspp    MobileNetV3's
mraspp    MicroNet's
heatmap   heatmaps of joints, by MobileNet's blocks
micro_heatmap   the same by MicroNet's, with spatial attention
boxes     what detectors share: rows of boxes, prior boxes as data
decoding  how the output of a built network is read
names     HEAD:BACKBONE and its options -> spec
backbone  published weights of the backbone alone
"""
