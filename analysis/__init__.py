"""A door in a checkout: ``python -m analysis`` is `ntk-sweep` without `run`.

The code lies in `ntk_sweep.analysis`. Nothing that is installed imports this folder.
"""
