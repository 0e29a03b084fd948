"""Networks: what a row is, the families, and weights.

rows            what a row is; convolution and pooling rows
rounding        rounding of widths
depth           the depth multiplier
mbconv          the inverted residual as a row, for the families whose tables repeat it
heads           what a head is; the heads that families share
sides           which sizes of input a network takes
spec            NetSpec (rows, head), PlainSpec (encoder, head) and Variant (a name)
net             what every built network promises: timm's interface
convnet         a built chain of rows
plainnet        a built network that is no chain

squeezenet, mobilenet_v3, ...      one file per family, named in `families`; and beside them
espnet_v2_heads                    decoders and detectors of EdgeNets
fbnet_blocks                       what the three FBNets share
ghost_resnet                       Ghost-VGG and Ghost-ResNet
igc_blocks                         units of IGCV1 to IGCV3
micronet_blocks, micronet_widths   blocks and rows; widths and group numbers
peleenet_blocks                    blocks of PeleeNet and of the Pelee detectors
shufflenet_v2_units, shufflenet_v2_large, shufflenet_v2_plus     units; the release's later nets
condense                           CondenseNet's life: prune while training, then condense

families        the tuple of families
dense           heads for dense tasks on any backbone, HEAD:BACKBONE
build           networks with fresh weights
create          create_model: build, then weights
spaces          search spaces; space:NAME
network_file    a network as a JSON file: what a search found
external        timm:NAME, torchvision:NAME, pytorchcv:NAME
described       how a built network carries its config
narrow          how a pruned network is narrower than the one of its name
manifest        what travels inside every checkpoint and exported file
weights         weights of any origin into our networks
conversion      how tensors of other libraries become ours, a file per family
peers           which network of another library is one of ours
pretrained      where published weights are found
begun           weights of a net into one that is built on it
checkpoint      safetensors files that say what they are
source          RUN, FILE or NAME -> network
catalogue       sizes and published figures without building anything (catalogue.json, generated; published.csv)
"""
