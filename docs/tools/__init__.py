"""Programs that make what the pages show: tables, figures, and the picture of the report.

They import `analysis`, as a user would, and `ntk_sweep` never.
Nothing imports them but the benchmarks, the tests and the Makefile.
"""
