"""The chapter on how the kernel comes to its infinite-width limit.

`composition` declares it, from its numbers, tables and figures. It imports what every chapter
may, and it has a folder because one file would be too long.
"""
