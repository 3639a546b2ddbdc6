"""From stored rows to tables, figures and one report: frame → numbers → figure → page, each step a
function of its own.

Needs neither torch nor ray: it reads the store and draws. Run it with ``python -m analysis``.
"""
