"""The laws of λ_min against width and depth, held against the limit kernel.

    python -m benchmarks.numerics.scaling [FOLDER]

FOLDER holds FashionMNIST/raw; without it inputs are looked for where a sweep would. Writes the
moments of the activations that the analysis reads, and the tables of docs/theory/scaling.md. All
from the infinite-width kernel, so that a width of a million costs no more than one of a hundred.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

import numpy as np
import pandas as pd

from benchmarks.places import ROOT
from docs.tools.pages import fill, write_csv
from ntk_sweep.analysis.chapters.scaling.laws import (
    MOMENTS,
    coefficients,
    deep_factor,
    exponent,
    first_jump,
    measured,
)
from ntk_sweep.data.dataset import assemble
from ntk_sweep.data.sources import SOURCES
from ntk_sweep.limit.kernel import limit_kernel_spectrum, limit_ntks
from ntk_sweep.limit.layer_moments import LayerMoments, layer_moments
from ntk_sweep.network.activations.registry import ACTIVATIONS

PAGE = ROOT / "docs" / "theory" / "scaling.md"
LAYERS = 16
"""Moments kept: those of the sixteenth layer differ from the last ones by less than 1e-4."""

WIDTHS = [round(10 ** (half / 2)) for half in range(4, 13)]
"""From 100 to a million, two a decade."""

KNOWN = 1000.0
"""Multiples of its error bound that an eigenvalue must have: a slope is then good to 0.002."""

RESOLVED = 50.0
"""Likewise for factors between depths, good to 0.04 where no more is known."""

LAYER_WIDTH = 10**5
"""Where factors between depths are compared: wider, fewer eigenvalues are resolved."""

DEPTHS = (2, 3, 5, 9)
"""Layers D after which one more is added."""

DEEPEST = 10
SYNTHETIC = ((40, 60), (40, 10), (7, 2), (11, 2))
"""N and n_0 of Gaussian inputs: degrees 1, 2, 3 and 4."""

SCALE = 4.0
"""Of the Gaussian inputs: short ones bring λ_min below its error bound before the law is met."""


def main(folder: str | None) -> None:
    """Writes the moments, prints the tables and puts them into the page."""
    write_moments()
    inputs = cases(folder)
    slopes = pd.DataFrame([line for name, x in inputs.items() for line in lines(name, x)])
    write_csv(PAGE.parent / "tables" / "scaling.csv", markdown(slopes))
    tables = {
        "cases": case_table(inputs),
        "widths": slope_table(slopes, "thesis"),
        "standard": slope_table(slopes, "standard"),
        "coefficients": "\n".join(coefficient_table(inputs)),
        "layers": "\n".join(layer_table(inputs["Fashion-MNIST"])),
    }
    for name, table in tables.items():
        print(f"\n{table}", flush=True)
        fill(PAGE, name, table)


def write_moments() -> None:
    """Writes the moments of every activation, layer by layer."""
    rows = [
        {"act": act, "layer": layer, **moments._asdict()}
        for act in ACTIVATIONS
        for layer, moments in enumerate(layer_moments(act, LAYERS), 1)
    ]
    columns = ["act", "layer", *LayerMoments._fields]
    pd.DataFrame(rows, columns=columns).to_csv(
        MOMENTS, index=False, float_format="%.9g", lineterminator="\n"
    )


def cases(folder: str | None) -> dict[str, np.ndarray]:
    """Name ↦ inputs (N, n_in)."""
    found = {}
    for title, name in (("Fashion-MNIST", "fashion_mnist"), ("digits", "digits")):
        place = folder if name == "fashion_mnist" else None
        source = SOURCES[name]
        found[title] = assemble(source, *source.find(place), (0, 9), 100).x
    for size, features in SYNTHETIC:
        normal = np.random.default_rng(0).standard_normal((size, features))
        found[f"Gaussian {size} × {features}"] = SCALE * normal
    return found


def lines(name: str, x: np.ndarray) -> list[dict[str, object]]:
    """Predicted and measured slopes for every activation and parametrisation, depths 2 and 4."""
    degree = measured(x).degree
    return [
        {
            "inputs": name,
            "degree": degree,
            "activation": act,
            "parametrisation": parametrisation,
            "depth": depth,
            "predicted": exponent(act, parametrisation, degree),
            **last_slope(x, act, parametrisation, depth),
        }
        for act in ACTIVATIONS
        for parametrisation in ("thesis", "standard")
        for depth in (2, 4)
    ]


def last_slope(x: np.ndarray, act: str, parametrisation: str, depth: int) -> dict[str, float | int]:
    """The slope of log λ_min over log n between the two greatest widths where it is well known."""
    known = [(n, *least(x, act, n, (depth,), parametrisation)[depth]) for n in WIDTHS]
    known = [(n, value) for n, value, error in known if value > KNOWN * error]
    if len(known) < 2:
        return {"slope": np.nan, "width": 0}
    (n, low), (m, high) = known[-2:]
    return {"slope": round(float(np.log(high / low) / np.log(m / n)), 3), "width": m}


def least(
    x: np.ndarray, act: str, width: int, depths: Sequence[int], parametrisation: str = "thesis"
) -> dict[int, tuple[float, float]]:
    """Depth ↦ λ_min of Θ̄_n and its error bound."""
    spectra = {
        depth: limit_kernel_spectrum(kernel)
        for depth, kernel in limit_ntks(x, act, width, depths, parametrisation).items()
    }
    return {d: (float(s.eigenvalues[0]), float(s.errors[0])) for d, s in spectra.items()}


def shape(x: np.ndarray, power: float) -> float:
    """What the inputs decide: λ_min of their part of the leading order (docs/theory/scaling.md)."""
    distance = np.sqrt(np.square(x[:, None] - x[None]).sum(-1))
    ones = np.ones((len(x), 1))
    low, part = {
        0.5: (ones, -distance),
        1.0: (ones, x @ x.T),
        1.5: (np.column_stack([ones, x]), distance**3),
    }[power]
    vectors = np.linalg.svd(low)[0]
    rest = vectors[:, np.linalg.matrix_rank(low) :]
    return float(np.linalg.eigvalsh(rest.T @ part @ rest)[0])


def leading(x: np.ndarray, act: str, width: int, depths: Sequence[int]) -> np.ndarray:
    """The leading order of λ_min under `thesis` at each depth; NaN where no constant is derived."""
    degree = measured(x).degree
    power = 1.0 - exponent(act, "thesis", degree)
    found = coefficients(act, degree, max(depths))[np.array(depths) - 2]
    if np.isnan(found).any():
        return found
    jump = float(ACTIVATIONS[act].jump)
    factor = {
        0.5: jump**2 / (2 * np.pi),
        1.0: 1.0,
        1.5: ACTIVATIONS[act].curvature_jump / 6 / np.pi,
    }
    return factor[power] * shape(x, power) * width ** (1 - power) * found


def case_table(inputs: dict[str, np.ndarray]) -> str:
    """N, features, rank and degree of the inputs."""
    rows = ["| inputs | N | features | rank of [x, 1] | degree p |", "|---|---|---|---|---|"]
    for name, x in inputs.items():
        own = measured(x)
        rows.append(f"| {name} | {len(x)} | {x.shape[1]} | {own.rank} | {own.degree} |")
    return "\n".join(rows)


def slope_table(slopes: pd.DataFrame, parametrisation: str) -> str:
    """Predicted and measured slopes at depth 2, a row an activation and a column the inputs."""
    own = slopes[(slopes["parametrisation"] == parametrisation) & (slopes["depth"] == 2)]
    names = list(own["inputs"].unique())
    rows = [f"| activation | {' | '.join(names)} |", "|---" * (len(names) + 1) + "|"]
    for act in ACTIVATIONS:
        line = own[own["activation"] == act].set_index("inputs")
        entries = [
            f"{line.at[name, 'predicted']:g}: {line.at[name, 'slope']:.3f} "
            f"({line.at[name, 'width']:.0e})".replace("e+0", "e")
            for name in names
        ]
        rows.append(f"| {ACTIVATIONS[act].title} | {' | '.join(entries)} |")
    return "\n".join(rows)


def coefficient_table(inputs: dict[str, np.ndarray]) -> list[str]:
    """λ_min of Θ̄_n over its leading order, where a constant is derived, at three widths."""
    widths = (10**3, 10**4, 10**6)
    rows = [
        f"| inputs | activation | depth | {' | '.join(f'n = {n:,}' for n in widths)} |",
        "|---" * (3 + len(widths)) + "|",
    ]
    for name in ("Fashion-MNIST", "digits"):
        for act in ACTIVATIONS:
            for depth in (2, 4):
                entries = []
                for n in widths:
                    value, error = least(inputs[name], act, n, (depth,))[depth]
                    ratio = value / leading(inputs[name], act, n, (depth,))[0]
                    known = value > KNOWN * error and np.isfinite(ratio)
                    entries.append(f"{ratio:.3f}" if known else "—")
                if set(entries) != {"—"}:
                    title = ACTIVATIONS[act].title
                    rows.append(f"| {name} | {title} | {depth} | {' | '.join(entries)} |")
    return rows


def layer_table(x: np.ndarray) -> list[str]:
    """What one more layer multiplies λ_min by: the law, and the limit kernel at `LAYER_WIDTH`."""
    rows = [
        f"| activation | χ | {' | '.join(f'{d} → {d + 1}' for d in DEPTHS)} | deep |",
        "|---" * (3 + len(DEPTHS)) + "|",
    ]
    for act in ACTIVATIONS:
        law = coefficients(act, 1, DEEPEST)
        limit = least(x, act, LAYER_WIDTH, range(2, DEEPEST + 1))
        entries = []
        for d in DEPTHS:
            known = all(limit[k][0] > RESOLVED * limit[k][1] for k in (d, d + 1))
            value = f"{limit[d + 1][0] / limit[d][0]:.3f}" if known else "unresolved"
            entries.append(f"{law[d - 1] / law[d - 2]:.3f}: {value}")
        deep = deep_factor(act)
        chi = deep**2 if first_jump(act) == 1 else deep
        rows.append(
            f"| {ACTIVATIONS[act].title} | {chi:.3f} | {' | '.join(entries)} | {deep:.3f} |"
        )
    return rows


def markdown(table: pd.DataFrame) -> list[str]:
    """A frame as the lines of a Markdown table."""
    body = [f"| {' | '.join(map(str, line))} |" for line in table.itertuples(index=False)]
    return [f"| {' | '.join(table.columns)} |", "|---" * len(table.columns) + "|", *body]


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else None)
