"""The commands behind `ntk-sweep run`: one network or a sweep, and what they print.

It imports `dispatch`, `executors`, `store`, `data` and `settings`.
Whatever is printed about finished points is printed here.
"""
