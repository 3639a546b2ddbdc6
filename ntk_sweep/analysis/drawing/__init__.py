"""From frames to figures: rendering, axes, colours, heat maps, panels of losses.

It imports rows, whose frames it draws. What only one chapter draws lies in that chapter.
The same frame gives the same bytes, whatever matplotlib is set to.
"""
