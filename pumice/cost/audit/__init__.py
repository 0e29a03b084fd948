"""The four guidelines of ShuffleNetV2 held against any network: what costs more time than its multiply-adds say.

Ma et al., "ShuffleNet V2: Practical Guidelines for Efficient CNN Architecture Design", ECCV 2018, arXiv:1807.11164.

proposal.py: Proposal: what a guideline hands to the audit.
finding.py: Finding, Edit, Place, Audit: what an audit says, as data.
run.py: `audit`: trace, ask the four guidelines, predict each edit, rank.
chains.py: shuffles, gates, activations, dynamic activations and shortcuts, found in a graph.
channels.py: which values share a width, and which convolutions set it.
unequal.py: G1, equal channel widths need the least memory access.
grouped.py: G2, group convolutions need more memory access at equal multiply-adds.
fragments.py: G3, many small pieces run slower than few large ones.
elementwise.py: G4, element-wise work costs time and no multiply-adds.
predict.py: what every node costs, and what an edit would save.
measure.py: the edited networks against the original, interleaved.
"""
