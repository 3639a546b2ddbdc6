"""The command `ntk-sweep`: computes networks, and shows what was computed.

It imports `analysis`, `commands` and what they import, each only for the words that need it.
`launch.py` and `python -m analysis` are doors to it in a checkout.
"""
