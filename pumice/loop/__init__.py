"""Images and a budget in; a trained, measured and verified model file out.

config          what `fit` was asked
candidates      network x input size x runtime, and which are promising
dense           candidates of dense tasks
begin           data, runtimes, the run folder
where           which machine measures, or which table predicts
screen          measures candidates as they would ship, or predicts them
halving         trains the promising ones by successive halving
ship            export, verification, latency and records of the winner
fit             all of it
quantising      `quantize`: a file of 8-bit integers, where that pays
"""
