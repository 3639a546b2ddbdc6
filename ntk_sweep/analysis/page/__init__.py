"""The report: one page of all chapters, and the interactive maps on it.

It imports the chapters and what lies below them. The page needs neither a network nor a server,
so that its data, scripts and style are packed into it.
"""
