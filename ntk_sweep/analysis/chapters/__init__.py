"""The chapters, each declared once, in a file or folder of its own.

A chapter imports rows, statistics, drawing and writing, and no other chapter: what two share lies
below them. `order` lists all; the command line, the files and the page follow from it.
"""
