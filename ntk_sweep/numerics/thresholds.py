"""Sizes from which on things are done in another way, in one place, since the memory plan has to
know them all."""

REFINED_SAMPLES = 4000
"""Number of inputs up to which `auto` goes beyond eigh: above it, products in double-double need
more memory than common machines have, and hours."""

LIMIT_SAMPLES = 3000
"""Number of inputs up to which the infinite-width kernel is computed."""

LIMITS_KEPT_BELOW = 500
"""Number of inputs up to which the limit kernels of all depths of a sweep are computed and kept
together: at most 2 MB each."""

SHELF_BYTES = 2**27
"""Of limit kernels that a worker keeps for points to come: 400 at 200 inputs."""

TILE_ROWS = 2048
"""Rows of Θ that are computed together; up to so many inputs, all of them."""

HELD_WEIGHTS = 2**31
"""Bytes of weights up to which a network is held; a larger one is drawn layer by layer, twice."""

KEPT_BYTES = 2**30
"""Blocks up to this size come from memory that a worker keeps, and as much of it is kept free. By
default glibc gives blocks back as soon as they are free, and every array of a pass is then a
thousand page faults, which cost more than the arithmetic."""
