"""Numbers of inputs from which on another method is used, and sizes of blocks.

They stand in one place, since the memory plan has to know them all.
"""

REFINED_SAMPLES = 4000
"""Number of inputs up to which `auto` goes beyond eigh: above it, products in double-double take
more than minutes, and are left to those who name the method."""

EXTENDED_ACTIVATIONS = 2**23
"""Numbers a^l of all inputs and layers, l = 0..D-1, up to which passes are repeated in
double-double, in 2 GB or less: 200 inputs at a width of 4,000 and a depth of 10."""

EXTENDED_WEIGHTS = 2**18
"""Weights of which slices are made at once there."""

CERTIFIED_SAMPLES = 500
"""Number of inputs up to which eigenvalues are computed in ball arithmetic: beyond it,
they take more than minutes."""

LIMIT_SAMPLES = 12_000
"""Number of inputs up to which the infinite-width kernel is computed: beyond it, it and its
eigenvalues take tens of minutes."""

LIMIT_REGRESSION = 3000
"""Number of training and test inputs up to which limit kernels predict outputs."""

LIMIT_TILE_ROWS = 500
"""Rows and columns of the blocks in which pairs of inputs go through the recursion of the
infinite-width kernel: arrays of 2 MB stay in the caches. Tuned: 256 take as long, all 3,000 inputs
together four times as long."""

LIMIT_SPECTRUM = 1500
"""Number of inputs up to which the two ends of the spectrum of an infinite-width kernel come from
all its eigenvalues."""

EXTENDED_SAMPLES = 1000
"""Number of inputs up to which λ_min of the infinite-width kernel is computed beyond float64."""

LIMITS_KEPT_BELOW = 500
"""Number of inputs up to which the limit kernels of all depths of a sweep are computed and kept
together: at most 2 MB each."""

TILE_ROWS = 2048
"""Rows of Θ that are computed together; up to so many inputs, all of them."""

DOUBLE_DOUBLE_TILE_ROWS = 512
"""Rows and columns of a tile of Θ in double-double: its temporaries of 2 MB each stay in the
caches. Tuned on two cores."""

GRADED_ROWS = 1024
"""Rows of the blocks in which a spectrum in double-double multiplies matrices: such products take
some 20 arrays as high or as wide."""
