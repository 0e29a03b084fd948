"""The command line, a file per verb; `main` imports only the verb that runs.

main            the group of verbs, exit codes, what a user sees of an error
show            tables on the screen, JSON for machines
options         options that several verbs share
list, info, profile, benchmark, doctor          what there is and what it costs; list_found: what searches found
lut                                             tables of latency of a device
guidelines, audit                               whether the papers' rules of speed hold here, and in a network
data, data_dense                                what is in a data set, and what is wrong with it
train, val, predict, fit, report                from images to a model; predict_dense: boxes, masks, poses
prune                                           a network without its least important channels
search                                          a network of a space for a budget; search_networks: methods that
                                                begin with a network, search_retrain: the best ones, trained at length
export, verify                                  to a file, and whether it is right; export_auto: the fastest here,
                                                export_package: a folder without Pumice
quantize                                        to a file of 8-bit integers, where that pays
"""
