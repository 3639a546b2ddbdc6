"""Valid settings, with some changed."""

from ntk_sweep.settings.schema import DataConfig, SweepConfig


def settings(**changes) -> SweepConfig:
    """Valid settings with some changed; nested ones by a name with double underscore."""
    config = SweepConfig(data=DataConfig("digits", classes=[0, 9], n_per_class=100))
    for name, value in changes.items():
        *parents, leaf = name.split("__")
        target = config
        for parent in parents:
            target = getattr(target, parent)
        setattr(target, leaf, value)
    return config
