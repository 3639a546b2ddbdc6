"""The smallest and the greatest eigenvalue of the empirical NTK, without the rest of the spectrum.

For so many inputs that the whole spectrum would take too long.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import torch
from jaxtyping import Float
from scipy.sparse.linalg import ArpackError
from threadpoolctl import threadpool_limits
from torch import Tensor

from ntk_sweep.kernel.centred_kernel import CentredKernel, centred_kernel
from ntk_sweep.kernel.centred_passes import centred_passes
from ntk_sweep.kernel.double_double_kernel import double_double_kernel
from ntk_sweep.kernel.overflow import squares_overflow
from ntk_sweep.kernel.pass_errors import seen_errors, spread_error
from ntk_sweep.network.fully_connected import Inputs, Network
from ntk_sweep.numerics.double_double import DoubleDouble
from ntk_sweep.numerics.gram_matrices import GramError
from ntk_sweep.numerics.tensors import all_finite, overflow
from ntk_sweep.numerics.thresholds import REFINED_SAMPLES
from ntk_sweep.spectrum.extremes import Extremes
from ntk_sweep.spectrum.lowest_eigenvalue import (
    LEADING,
    ROWS,
    LowestEigenvalue,
    NoBoundError,
    certified,
    deflated,
    factorisation_error,
    greatest_vectors,
    lowest_eigenvalue,
)
from ntk_sweep.spectrum.perturbation import perturbation_bound
from ntk_sweep.spectrum.spectrum import CANDIDATES, TARGET, Spectrum, kernel_spectrum


@dataclass(frozen=True)
class ExtremeEigenvalues(Extremes):
    """The two ends of a spectrum, and eigenvectors.

    Attributes:
        leading: Eigenvectors of the `ntk_sweep.spectrum.lowest_eigenvalue.LEADING` greatest
            eigenvalues in the columns, ascending.
    """

    leading: Float[Tensor, "N _"] = field(repr=False)

    @classmethod
    def of(cls, spectrum: Spectrum) -> ExtremeEigenvalues:
        """Those of a whole spectrum with its eigenvectors."""
        assert spectrum.eigenvectors is not None
        return cls(**vars(Extremes.of(spectrum)), leading=spectrum.eigenvectors[:, -LEADING:])


def extreme_eigenvalues(network: Network, x: Inputs, target: float = TARGET) -> ExtremeEigenvalues:
    """λ_min and λ_max of the empirical NTK on `x`; see `kernel_extreme_eigenvalues`.

    Args:
        network: The network, at its present weights.
        x: N ≥ 1 inputs: a NumPy array, lists, or a tensor of the network's dtype and on its device.
        target: Relative error that is asked of λ_min.

    Raises:
        ValueError: `x` does not fit the network, is empty or not finite, or the kernel overflows.

    Example:
        >>> network = Network.initialise(4, 50, 3, "relu", "thesis", seed=0)
        >>> ends = extreme_eigenvalues(network, torch.eye(4, dtype=torch.float64))
        >>> 0 < ends.lambda_min < ends.lambda_max, ends.lambda_min_error < 1e-9 * ends.lambda_min
        (True, True)
    """
    kernel = centred_kernel(centred_passes(network, network.as_inputs(x)))
    return kernel_extreme_eigenvalues(kernel, target)


def kernel_extreme_eigenvalues(kernel: CentredKernel, target: float = TARGET) -> ExtremeEigenvalues:
    """λ_min and λ_max of a kernel, from two Cholesky factorisations and some 100 products.

    The greatest eigenvalues come from Lanczos's method on Θ in float64. That none lies beyond them
    is known where the greatest alone has more than half of ‖Θ‖_F², and is else shown by a Cholesky
    factorisation of μI - Θ (Sylvester's law of inertia). λ_min comes from Θ in double-double, to
    the first order that meets the target; `ntk_sweep.spectrum.lowest_eigenvalue` says how.

    A factorisation errs by at most (N + 1) u tr A (Higham 2002, theorem 10.3, with ‖|L||Lᵀ|‖ ≤ tr
    A); taken as independent, its roundings leave √N in place of N + 1 (Higham and Mary 2019), here
    with a safety factor of four.

    Args:
        kernel: From `ntk_sweep.kernel.centred_kernel.centred_kernel`; Θ in float64 is all there is
            of it where its passes are not kept.
        target: Relative error that is asked of λ_min.

    Raises:
        ValueError: The squares of Θ or an error bound overflow, or more than `REFINED_SAMPLES`
            inputs have a kernel that is zero or of rank one up to rounding.
    """
    if (error := squares_overflow(kernel.theta, kernel.layer_traces)) is not None:
        raise error
    try:
        # SciPy's BLAS has threads of its own
        with threadpool_limits(torch.get_num_threads(), user_api="blas"):
            return _by_lanczos(kernel, target)
    except (NoBoundError, ArpackError) as error:
        # in a kernel that vanishes, or is one vector up to rounding, there may be nothing to find
        if len(kernel.theta) > REFINED_SAMPLES:
            raise NoBoundError(
                "no bound of λ_min was found, as the kernel is zero or of rank one up to rounding: "
                "use the method eigh"
            ) from error
    return ExtremeEigenvalues.of(
        kernel_spectrum(kernel, "eigh" if kernel.passes is None else "auto", target)
    )


def _by_lanczos(kernel: CentredKernel, target: float) -> ExtremeEigenvalues:
    """Without the rest of the spectrum."""
    theta = kernel.theta
    leading = greatest_vectors(theta)
    greatest, own_greatest = greatest_eigenvalue(theta, leading[:, -1])
    own_greatest += kernel.error
    for orders in _orders(kernel, target):
        refined, errors = _double_double(kernel, orders)
        rest = deflated(refined, errors, leading)
        # its low part is not needed any more
        del refined
        lowest = lowest_eigenvalue(rest)
        del rest
        if lowest.error <= target / 2 * lowest.value:
            break
    own = torch.tensor([lowest.error, own_greatest], dtype=torch.float64)
    ends = torch.tensor([lowest.value, greatest], dtype=torch.float64)
    bounds = own + perturbation_bound(kernel.pass_errors, ends, own, lowest.inverse_norm)
    if not all_finite(bounds):
        raise overflow("the spectrum", "the squares of its error bounds", torch.float64)
    seen = _seen(kernel, lowest)
    return ExtremeEigenvalues(
        lambda_min=float(ends[0]),
        lambda_min_error=min(float(bounds[0]), lowest.error + seen),
        lambda_max=float(ends[1]),
        lambda_max_error=float(bounds[1]),
        leading=leading,
    )


def greatest_eigenvalue(
    theta: Float[Tensor, "N N"], vector: Float[Tensor, " N"]
) -> tuple[float, float]:
    """The greatest eigenvalue, from its vector, and a bound of its error."""
    rounding = factorisation_error(theta)
    product = theta @ vector
    value = (vector @ product / (vector @ vector)).item()
    error = (product - value * vector).norm().item() + rounding
    # the squares of all others add up to what it leaves of ‖Θ‖_F²
    if 2 * (value - error) ** 2 > 1.001 * float(theta.norm()) ** 2:
        return value, error
    return certified(theta, vector, rounding, sign=-1)


def _orders(kernel: CentredKernel, target: float) -> list[int]:
    """The orders of Θ that may meet the target; the last in any case."""
    if kernel.passes is None:
        return [0]
    *first, last = sorted({orders.kernel for _, orders in CANDIDATES})
    most = target * _nearest(kernel.theta)
    errors = {one: spread_error(kernel.double_double_errors(one).entries) for one in first}
    return [*(one for one in first if errors[one] <= most), last]


def _nearest(theta: Float[Tensor, "N N"]) -> float:
    """An upper bound of λ_min: the least xᵀΘx of x = (e_i - e_j)/√2, and its rounding."""
    squares, least = theta.diagonal(), float(theta.diagonal().min())
    for top, rows in zip(range(0, len(theta), ROWS), theta.split(ROWS), strict=True):
        pairs = (squares[top : top + len(rows), None] + squares).div_(2).sub_(rows)
        pairs.diagonal(top).fill_(torch.inf)
        least = min(least, float(pairs.min()))
    return max(least, 0.0) + torch.finfo(torch.float64).eps * float(squares.max())


def _double_double(kernel: CentredKernel, orders: int) -> tuple[DoubleDouble, GramError]:
    """Θ, in memory that the caller may use, and its errors."""
    if kernel.passes is not None:
        theta = double_double_kernel(kernel.passes, orders).to("cpu")
        return theta, kernel.double_double_errors(orders)
    single, entries = kernel.theta, kernel.entry_errors
    if entries is None:
        entries = single.new_full((len(single),), kernel.error)
    zeros = single.new_zeros(()).expand_as(single)
    return DoubleDouble(single.clone(), zeros), GramError(single.new_tensor(kernel.error), entries)


def _seen(kernel: CentredKernel, lowest: LowestEigenvalue) -> float:
    """What the errors of the passes do to λ_min; infinite where it is not known.

    With z the norm of what they add to the smallest singular values, relatively, and g to all,
    λ_min errs by 2z + z² and a term of second order, relatively: η² over the relative gap to what
    is beside the smallest eigenvalues, η = 2g + g².
    """
    if kernel.passes is None or lowest.inverse_norm is None:
        return math.inf
    seen = seen_errors(kernel.passes, kernel.pass_errors, lowest.vectors)
    least, upper = lowest.value - lowest.error, lowest.value + lowest.error
    own = float((seen**2 / (lowest.values - lowest.error)).sum()) ** 0.5
    errors = kernel.pass_errors
    every = float(errors.shared) * lowest.inverse_norm + float(errors.rows.norm()) / least**0.5
    every = 2 * every + every**2
    room = 1 - every - upper / lowest.beyond if lowest.beyond > 0 else 0.0
    if room <= 0:
        return math.inf
    return upper * (2 * own + own**2 + every**2 / room)
