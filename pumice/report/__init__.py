"""Reports: tables, plots and one self-contained HTML page, from the records of run folders.  No torch here.

records.py   what a run folder says as one frozen `RunRecords`, and what that says about the budget
reading.py   `read_run`: a run folder's JSON and CSV files as `RunRecords`
answers.py   what runs said of each validation image, scored and matched between runs
settings.py  a run's settings in words, and what differs between runs
fields.py    asking a record for a field that may be missing
document.py  any page: one HTML file with its style, script and plots inside
page.py      `write_page`: one or several runs as one HTML file that opens offline
verdict.py   what was asked, what was measured, and whether the one is within the other
guidelines.py  the page of `pumice guidelines`
sections.py  the parts of the page, one function each
listings.py  the tables of the page: candidates, accuracy by class, confused classes
mistakes.py  pictures of the worst mistakes of one run, and of what several get wrong together or alone
dense.py     figures, classes and pictures of a run of a dense task
comparison.py  several runs against each other: table, curves, confusion, mistakes
html.py      escaping, tables and the other pieces of HTML that the sections are made of
page.css     how the page looks: light, dark, on paper, on a phone
page.js      what the page does: draw the plots, sort tables
theme.py     colours, fonts and safe text that all plots share
plots.py     plotly figures of candidates by cost and accuracy, of one run and of several
search_records.py  the folder of a search, read
search.py    the page of a search: trials by accuracy and cost, the best so far, the front in words
narrowing.py  the page of a NetAdapt search: cost and accuracy step by step
scaling.py   the page of compound scaling: the settings tried, the network at each phi
tradeoff.py  accuracy against multiply-adds and latency of many networks, and how well the two agree in rank
timings.py   the page of `pumice benchmark`: a dot with its interval for each measurement
curves.py    plotly figures of training
profile.py   `write_profile`: what each layer costs, how fast it could be and how fast it is, as one HTML file
breakdown.py plotly figure of where the time goes: convolution, elementwise work, data movement, shuffles, the rest
roofline.py  plotly figure of what each layer reaches under the machine's ceilings
reuse.py     `write_reuse`: who reads whose features, as heat maps in one HTML file
data_check.py  `write_data_check`: a data set's classes, sizes, samples and faults, as one HTML file
layers.py    plotly figure of what a net costs layer by layer
confusion.py  plotly figures of which classes a net confuses, and of the difference of two
tables.py    `card`: the model card
limits.py    what the accuracy of a run does not promise
snippets.py  how to load the shipped file, in a few lines; how to train it again
units.py     numbers as people read them
"""
