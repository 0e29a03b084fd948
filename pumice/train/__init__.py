"""Training a network.  Only `config`, `values`, `run` and `environment` can be imported without torch.

config        what decides a run, as JSON values; overrides of the command line
values        the value of a setting as its field's type
environment   what a run was made with
run           train, resume: a run and its folder
trainer       Lightning around one network; train_once, training without a folder
net           the network, the head and the weights that a configuration asks for
module        the step, the loss, the optimiser, what an epoch came to
schedule      learning rate and mixup as functions of the step
condense      nets that learn their groups: prunings on time, the condensed form at the end
freeze        training the last layer alone
ema           moving average of the weights
stream        the batches of an epoch from any one on
state         resume.pt
records       the files of a run folder; when to stop
interrupt     Ctrl-C and SIGTERM
console       progress bar and lines
"""
