"""Dual activations to 20 digits and more with mpmath, by methods other than the library's. Run to
write `dual_references.json`.

ReLU, LeakyReLU, ELU, GELU and erf: E[σ(v) | u] is known in closed form, which leaves a
one-dimensional integral, split at the kink and at the scales of the integrand. Sigmoid, tanh and
SiLU, which are analytic: the trapezoidal rule in two dimensions, whose error falls like exp(-2πd/h)
with d the distance of the nearest pole (Trefethen and Weideman 2014), in the variables ξ with u =
sinh ξ and either η with v = sinh η or the part of v independent of u. Each value is computed with
two steps or splittings, which must agree to 1e-14. The finer one is given out; as the rules
converge geometrically, it has about twice as many digits right.
"""

from __future__ import annotations

import itertools
import json
import math
from pathlib import Path

import mpmath as mp

FILE = Path(__file__).with_name("dual_references.json")
DIGITS = 34
CUT = mp.mpf(11)  # standard deviations: exp(-11²/2) is 5e-27


def sigmoid(z):
    return 1 / (1 + mp.exp(-z)) if z > 0 else mp.exp(z) / (1 + mp.exp(z))


FUNCTIONS = {
    "sigmoid": (sigmoid, lambda z: sigmoid(z) * sigmoid(-z)),
    "tanh": (mp.tanh, lambda z: mp.sech(z) ** 2),
    "silu": (lambda z: z * sigmoid(z), lambda z: sigmoid(z) * (1 + z * sigmoid(-z))),
    "relu": (lambda z: max(z, mp.mpf(0)), lambda z: mp.mpf(z > 0)),
    "lrelu": (
        lambda z: z if z > 0 else z / 100,
        lambda z: mp.mpf(1) if z >= 0 else mp.mpf(1) / 100,
    ),
    "elu": (lambda z: z if z > 0 else mp.expm1(z), lambda z: mp.mpf(1) if z > 0 else mp.exp(z)),
    "erf": (mp.erf, lambda z: 2 / mp.sqrt(mp.pi) * mp.exp(-z * z)),
    "gelu": (lambda z: z * mp.ncdf(z), lambda z: mp.ncdf(z) + z * mp.npdf(z)),
}


def _negative_linear(slope):
    slope = mp.mpf(slope) / 100

    def function(m, s):
        return m * slope + (1 - slope) * (m * mp.ncdf(m / s) + s * mp.npdf(m / s))

    return function, lambda m, s: slope + (1 - slope) * mp.ncdf(m / s)


def _elu_tail(m, s):
    """E[exp(v); v < 0] for v ~ N(m, s²)."""
    return mp.exp(m + s * s / 2) * mp.ncdf(-(m + s * s) / s)


def _gelu_mean(m, s):
    r = mp.sqrt(1 + s * s)
    return m * mp.ncdf(m / r) + s * s / r * mp.npdf(m / r)


def _gelu_slope(m, s):
    r = mp.sqrt(1 + s * s)
    return mp.ncdf(m / r) + m / r * mp.npdf(m / r) * (1 - s * s / r**2)


CONDITIONAL = {  # E[σ(v)] and E[σ'(v)] for v ~ N(m, s²)
    "relu": _negative_linear(0),
    "lrelu": _negative_linear(1),
    "elu": (
        lambda m, s: m * mp.ncdf(m / s) + s * mp.npdf(m / s) + _elu_tail(m, s) - mp.ncdf(-m / s),
        lambda m, s: mp.ncdf(m / s) + _elu_tail(m, s),
    ),
    "erf": (
        lambda m, s: mp.erf(m / mp.sqrt(1 + 2 * s * s)),
        lambda m, s: 2 / mp.sqrt(mp.pi * (1 + 2 * s * s)) * mp.exp(-m * m / (1 + 2 * s * s)),
    ),
    "gelu": (_gelu_mean, _gelu_slope),
}


def reference(name, var_x, var_y, cov):
    """E[σσ] and E[σ'σ'] for covariances given as floats, which count as exact."""
    var_x, var_y, cov = mp.mpf(var_x), mp.mpf(var_y), mp.mpf(cov)
    if var_x < var_y:
        var_x, var_y = var_y, var_x
    a = mp.sqrt(var_x)
    regression = cov / var_x
    rest = mp.sqrt(max(var_y - cov * regression, mp.mpf(0)))
    method = _one_dimensional if name in CONDITIONAL or rest == 0 else _trapezoidal
    coarse, fine = (method(name, a, regression, rest, level) for level in (0, 1))
    for x, y in zip(coarse, fine, strict=True):
        scale = max(abs(y), mp.mpf(10) ** -8 * var_y)
        assert abs(x - y) < scale * mp.mpf(10) ** -14, (
            name,
            var_x,
            var_y,
            cov,
            mp.nstr(x, 20),
            mp.nstr(y, 20),
        )
    return fine


def _one_dimensional(name, a, regression, rest, level):
    marks = [mp.mpf(10) ** k for k in range(-8, 5)] + [a * CUT * t / 8 for t in range(1, 8)]
    if level:
        marks += [1.7 * m for m in marks]
    end = a * CUT
    if regression and rest:
        marks += [rest / abs(regression) * t for t in (mp.mpf("0.5"), 1, 2, 4, 8)]
    points = sorted(
        {mp.mpf(0), end, -end}
        | {sign * m for m in marks if a / 10**9 < m < end for sign in (1, -1)}
    )
    values = []
    for order in (0, 1):
        f = FUNCTIONS[name][order]
        g = (lambda m, s, f=f: f(m)) if rest == 0 else CONDITIONAL[name][order]
        integrand = lambda u, f=f, g=g: f(u) * g(regression * u, rest) * mp.npdf(u / a) / a  # noqa: E731
        values.append(
            sum(
                mp.quad(integrand, pair, method="gauss-legendre", maxdegree=5 + level)
                for pair in itertools.pairwise(points)
            )
        )
    return values


def _trapezoidal(name, a, regression, rest, level):
    unit = min(a, mp.mpf(1))
    step = mp.mpf("0.07") / 2**level if a > 1 else mp.mpf("0.12") / 2**level
    count = int(mp.ceil(mp.asinh(CUT * a / unit) / step))
    outer = [
        (unit * mp.sinh(k * step), step * unit * mp.cosh(k * step))
        for k in range(-count, count + 1)
    ]
    f, derivative = FUNCTIONS[name]
    outer = [(f(u), derivative(u), w * mp.npdf(u / a) / a, u) for u, w in outer]
    values = [mp.mpf(0), mp.mpf(0)]
    if rest > 2:
        spread = mp.sqrt(rest**2 + (regression * a) ** 2)
        count = int(mp.ceil(mp.asinh(CUT * spread) / step))
        inner = [(mp.sinh(k * step), step * mp.cosh(k * step)) for k in range(-count, count + 1)]
        inner = [(v, f(v), derivative(v), w) for v, w in inner]
        for fu, du, wu, u in outer:
            densities = [w * mp.npdf((v - regression * u) / rest) / rest for v, _, _, w in inner]
            values[0] += fu * wu * mp.fdot((i[1], p) for i, p in zip(inner, densities, strict=True))
            values[1] += du * wu * mp.fdot((i[2], p) for i, p in zip(inner, densities, strict=True))
        return values
    step = mp.mpf("0.22") / 2**level
    count = int(mp.ceil(CUT / step))
    inner = [(rest * k * step, step * mp.npdf(k * step)) for k in range(-count, count + 1)]
    for fu, du, wu, u in outer:
        values[0] += fu * wu * mp.fsum(p * f(regression * u + v) for v, p in inner)
        values[1] += du * wu * mp.fsum(p * derivative(regression * u + v) for v, p in inner)
    return values


def cases():
    """(var_x, var_y, cov) as floats."""
    identical = 1 - 1e-12
    for var_x, var_y, correlations in (
        (1e-6, 1e-6, (0.0, 0.5, identical, -0.3)),
        (1.0, 1.0, (0.0, 1e-5, 0.5, 0.99, 1 - 1e-7, identical, 1.0, -0.5, -identical, -1.0)),
        (0.3, 2.5, (0.0, 0.7, identical, -0.9)),
        (1e-4, 30.0, (0.1, 0.9, -1 + 1e-9)),
        (1e3, 1e3, (0.0, 0.4, identical, -0.4)),
        (1e6, 1e6, (0.0, 0.4, identical, 1.0)),
        (1e6, 1e-6, (0.3, identical)),
    ):
        for correlation in correlations:
            yield (
                var_x,
                var_y,
                correlation * math.sqrt(var_x * var_y)
                if abs(correlation) != 1
                else correlation * var_x,
            )


if __name__ == "__main__":
    import sys
    import time

    mp.mp.dps = DIGITS
    table = json.loads(FILE.read_text()) if FILE.exists() else {}
    for name in sys.argv[1:] or FUNCTIONS:
        start, rows = time.time(), []
        for case in cases():
            t0 = time.time()
            function, derivative = reference(name, *case)
            rows.append([*case, mp.nstr(function, 22), mp.nstr(derivative, 22)])
            print(name, case, f"{time.time() - t0:.1f}s", flush=True)  # noqa: T201
        print(name, f"{time.time() - start:.0f} s", flush=True)  # noqa: T201
        table[name] = rows
        FILE.write_text(json.dumps(table, indent=0) + "\n")
