"""Training a network.  `config`, `rules`, `settings`, `run`, `launch` and `environment` alone import no torch.

config        what decides a run, as JSON values; overrides of the command line
rules         what its fields may be, each alone and together
settings      how the command line names the fields of a configuration
environment   what a run was made with
run           train, resume: a run and its folder
folder        taking a run's folder, and giving it back
trainer       Lightning around one network; train_once, training without a folder
net           the network, the head and the weights that a configuration asks for
module        the step, what an epoch came to
optimizer     the optimiser, and which parameters it decays
open          the data that a configuration names
parts         what the loop is made of besides the network
classifying   these parts of a classifier
dense         these parts of a dense task
judging       what validation makes of the networks' answers; which epoch is the best
heap          memory that a step frees stays for the next one
objective     what a step minimises: cross-entropy
partner       mutual learning: a network that trains beside the first
distill       a trained teacher, whose answers the network learns from
schedule      learning rate and mixup as functions of the step
condense      nets that learn their groups: prunings on time, the condensed form at the end
freeze        training the last layer alone; batch norms with fixed statistics
in_place      activations that write over what they read
ema           moving average of the weights
launch        which of several processes is the first, who started them, who says what has failed
together      what the processes tell each other between steps
shard         weights and optimiser state in shares, one a device
stream        the batches of an epoch from any one on
state         what the next step depends on; a state file with its checksum
latest        resume.pt and the one before it: the latest that is good
writer        a run's files, the state last; a full disk delays them
records       what is written after an epoch; when to stop
board         the TensorBoard log
culprit       what made a loss infinite or no number
lock          one process at a time in a run folder
interrupt     Ctrl-C and SIGTERM
console       progress bar and lines
"""
