"""From stored rows to tables, figures and one report.

Rows become numbers, numbers become figures and tables, and these become files and a page, each
step by functions of its own. It imports of the library what reads the store and names things, and
neither torch nor ray. Run it with ``ntk-sweep``.
"""
