"""The chapter on what ranks the networks by training speed.

`composition` declares it, from candidates, associations, tables, figures and a conclusion in words.
It imports what every chapter may, and it has a folder because one file would be too long.
"""
