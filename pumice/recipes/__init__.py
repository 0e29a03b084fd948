"""Functions that return a frozen configuration, each with where its numbers come from.  No torch here.

small_data     classification from a few hundred to some ten thousand images; the default of `pumice train`
small_dense    dense tasks on as few

published      what all published trainings have in common, and how they are found by name
scale          the same training on fewer images, in smaller batches, for fewer epochs, at a smaller size
names          every published training by name; the one of a network

channelnet condensenet efficientnet espnet_v2 fbnet ghostnet igc micronet mnasnet mobilenet_v1 mobilenet_v2
mobilenet_v3 peleenet shufflenet squeezenet squeezenext weightnet
               the trainings that the authors of these families published

espnet espnet_v2_dense micronet_dense mobilenet_v3_dense pelee
               the trainings of their dense networks
ssdlite        trainings of detectors that are ours, where no paper describes one
"""
