"""Which activations have a formula that an entry may lack."""

from ntk_sweep.network.activations.registry import ACTIVATIONS


def with_formula(name):
    """The activations whose attribute `name` is not None."""
    return [act for act, entry in ACTIVATIONS.items() if getattr(entry, name) is not None]
