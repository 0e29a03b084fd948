"""Reports: tables, plots and one self-contained HTML page, from the records of run folders.  No torch here.

records.py   a run folder's JSON and CSV files as one frozen `RunRecords`, and what they say about the budget
fields.py    asking a record for a field that may be missing
page.py      `write_page`: one or several runs as one HTML file that opens offline
verdict.py   what was asked, what was measured, and whether the one is within the other
sections.py  the parts of the page, one function each
listings.py  the tables of the page: candidates, confused classes, several runs
html.py      escaping, tables and the other pieces of HTML that the sections are made of
page.css     how the page looks: light, dark, on paper, on a phone
page.js      what the page does: draw the plots, sort tables, filter predictions
theme.py     colours, fonts and safe text that all plots share
plots.py     plotly figures of candidates by cost and accuracy, of one run and of several
curves.py    plotly figures of training
layers.py    plotly figures of what a net costs layer by layer and of which classes it confuses
tables.py    `card`: model.md, the model card
snippets.py  how to load the shipped file, in three lines
units.py     numbers as people read them
"""
