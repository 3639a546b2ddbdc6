"""Points with some values changed, by the names that settings and columns have."""

import dataclasses

from ntk_sweep.settings.schema import SETTING_OF

FIELD_OF = {setting: field for field, setting in SETTING_OF.items()}


def changed(point, **changes):
    """The point with other values; those of its architecture too."""
    own = {item.name for item in dataclasses.fields(point)}
    network = {FIELD_OF.get(name, name): changes.pop(name) for name in set(changes) - own}
    architecture = dataclasses.replace(point.architecture, **network)
    return dataclasses.replace(point, **{"architecture": architecture} | changes)
