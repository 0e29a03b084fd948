"""Networks: what a row is, the families, and weights.

rows            what a row is; convolution and pooling rows
rounding        rounding of widths
heads           what a head is; pool and linear
spec            NetSpec (rows, head) and Variant (a name)
convnet         a built network with timm's interface
squeezenet, shufflenet_v2, mobilenet_v3, efficientnet, micronet, condensenet, peleenet      one file per family
peleenet_blocks PeleeNet's and the Pelee detectors' blocks
condense        CondenseNet's life: prune while training, then condense
families        the tuple of families
build           networks with fresh weights
create          create_model: build, then weights
external        timm:NAME, torchvision:NAME, pytorchcv:NAME
described       how a built network carries its config
manifest        what travels inside every checkpoint and exported file
weights         weights of any origin into our networks
peers           which network of another library is one of ours
pretrained      where published weights are found
checkpoint      safetensors files that say what they are
source          RUN, FILE or NAME -> network
catalogue       sizes and published figures without building anything (catalogue.json, generated; published.csv)
"""
