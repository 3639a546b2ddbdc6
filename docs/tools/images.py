"""How much λ_min varies with the images, and how much with the weights: a table of the results.

    python -m docs.tools.images RESULTS [FOLDER]

RESULTS holds the spectra of Table 1, whose networks are drawn. FOLDER holds FashionMNIST/raw;
without it images are looked for where a sweep would. Every network is drawn with `SEEDS` seeds on
each of `DRAWS` draws of 100 images a class, without replacement, from all that there are.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import torch

from docs.tools.claims.__main__ import of_thesis
from docs.tools.pages import fill
from ntk_sweep import Network, ntk_spectrum
from ntk_sweep.analysis.rows.runs import network_title
from ntk_sweep.analysis.writing.entries import Entry, number
from ntk_sweep.analysis.writing.tables import Table, markdown
from ntk_sweep.data.fashion_mnist import WHITE, load

PAGE = Path(__file__).parents[1] / "reference" / "results.md"
CLASSES, N_PER_CLASS = (0, 9), 100
SEEDS, DRAWS = 8, 8
RESAMPLES, LEVEL = 2000, 0.95


def main(results: str, folder: str | None = None) -> None:
    """Fills the table."""
    best = of_thesis(results).best_cells
    networks = [(one.act, int(one.width), int(one.depth)) for one in best.itertuples()]
    x, y = load(folder)
    draws = [subset(x, y, draw) for draw in range(DRAWS)]
    counts = [int((y == label).sum()) for label in CLASSES]
    lines = [line(network, lambda_min(network, draws)) for network in networks]
    columns = ["Network", "mean λ_min", "95 % interval, seeds", "seeds and images"]
    columns += ["sd over seeds", "sd over images"]
    caption = (
        f"λ_min of {DRAWS} draws of {N_PER_CLASS} of {counts[0]} and {counts[1]} images, {SEEDS} "
        "seeds on each"
    )
    notes = [
        "The standard deviations are those of one factor, the other held fixed, as root mean "
        "squares. The intervals of the mean resample seeds, or seeds and draws of images. Draws "
        "share images, since there are few more than are drawn: their spread is too small."
    ]
    fill(PAGE, "images", markdown(Table(caption, columns, lines, notes)))


def subset(x: np.ndarray, y: np.ndarray, draw: int) -> torch.Tensor:
    """The images of a draw, (2 · N_PER_CLASS, n_in)."""
    rng = np.random.default_rng(draw)
    chosen = [
        rng.choice(np.flatnonzero(y == label), N_PER_CLASS, replace=False) for label in CLASSES
    ]
    images = x[np.concatenate(chosen)].reshape(2 * N_PER_CLASS, -1)
    return torch.as_tensor(images / WHITE, dtype=torch.float64)


def lambda_min(network: tuple[str, int, int], draws: list[torch.Tensor]) -> np.ndarray:
    """(DRAWS, SEEDS)."""
    act, width, depth = network
    values = np.empty((len(draws), SEEDS))
    for seed in range(SEEDS):
        made = Network.initialise(draws[0].shape[1], width, depth, act, "thesis", seed)
        for place, inputs in enumerate(draws):
            values[place, seed] = float(ntk_spectrum(made, inputs).eigenvalues[0])
    return values


def line(network: tuple[str, int, int], values: np.ndarray) -> list[Entry]:
    """Means, intervals and spreads of a network."""
    rng = np.random.default_rng(0)
    seeds = rng.integers(SEEDS, size=(RESAMPLES, SEEDS))
    images = rng.integers(DRAWS, size=(RESAMPLES, DRAWS))
    over_seeds = values.mean(axis=0)[seeds].mean(axis=1)
    over_both = values[images[:, :, None], seeds[:, None, :]].mean(axis=(1, 2))
    return [
        network_title(network),
        number(values.mean()),
        interval(over_seeds),
        interval(over_both),
        number(float(np.sqrt(values.var(axis=1, ddof=1).mean())), 3),
        number(float(np.sqrt(values.var(axis=0, ddof=1).mean())), 3),
    ]


def interval(values: np.ndarray) -> str:
    """The ends of the central `LEVEL`."""
    low, high = np.quantile(values, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return f"{number(float(low), 3)} to {number(float(high), 3)}"


if __name__ == "__main__":
    if len(sys.argv) not in (2, 3):
        raise SystemExit(__doc__)
    main(*sys.argv[1:])
