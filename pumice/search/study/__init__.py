"""A search that is kept: trials in a database, workers on any number of machines, resumed after a kill.

config    SearchConfig: everything that decides a search, as JSON values; no torch, no optuna
storage   a database by its URL: SQLite or PostgreSQL; one worker at a time has the turn; what went wrong in a sentence
workers   who judges a trial, whether that process still lives, and its heartbeat
study     Study: take a trial, report, finish or give it back; what was judged so far
stopping  the median rule
work      the loop of one worker
methods   the methods by name; problem, objective and searcher of a configuration
judging   short trainings on images, and costs of real networks
table     a CSV file that knows every accuracy
supernets DNAS and DMaskingNAS: a supernet is trained first
folder    config.json, trials.csv, pareto.json, search.json, best.json
run       a search begun or gone on with
together  several processes on this machine
"""
