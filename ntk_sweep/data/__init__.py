"""Labelled inputs: the sources of data sets, and the data set that a kernel is evaluated on.

It imports `errors` only: settings name a source, so that sources lie below settings.
To add a source, add one file and one entry in `sources`.
"""
