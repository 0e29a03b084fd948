"""Functions that return a frozen configuration, each with where its numbers come from.

small_data   classification from a few hundred to some ten thousand images
"""
