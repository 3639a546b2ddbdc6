"""Tables and figures as files: Markdown, LaTeX, HTML, CSV, images.

It imports drawing and rows. Every file is written by `files`, which makes its name and keeps it
below the output folder, whatever a row says.
"""
