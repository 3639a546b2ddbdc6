"""The chapter on test inputs: what kernels predict of loss and accuracy, and what f_0 does to them.

`composition` declares it, from its numbers, tables and figures. It imports what every chapter
may, and it has a folder because one file would be too long.
"""
