"""The command line, a file per verb; `main` imports only the verb that runs.

main            the group of verbs, exit codes, what a user sees of an error
show            tables on the screen, JSON for machines
options         options that several verbs share
list, info, profile, benchmark, doctor          what there is and what it costs
guidelines                                      whether the papers' rules of speed hold here
train, val, predict, fit, report                from images to a model
prune                                           a network without its least important channels
export, verify                                  to a file, and whether it is right
"""
