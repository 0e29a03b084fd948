"""JointNAS, or NARS: Dai et al., "FBNetV3: Joint Architecture-Recipe Search using Predictor Pretraining", CVPR 2021,
arXiv:2006.02049.

encoding     a choice as numbers, architecture and recipe apart
mlp          small perceptrons and Adam, in numpy
predictor    Predictor: accuracy from architecture and recipe, pre-trained on statistics that cost nothing
pool         candidates that keep the target, by quasi-Monte-Carlo sampling
evolve       the evolutionary stage, judged by the predictor alone
early_stop   from when on rankings of short trainings are those of whole ones
searcher     JointNAS: the stages as a searcher
"""
