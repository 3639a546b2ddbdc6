"""How far error bounds exceed errors, on the reference spectra: a table of docs/theory/numerics.md.

    python -m benchmarks.numerics.looseness

Needs the folder of reference spectra and images, at $NTK_SWEEP_SHARED or beside the checkout. An
error below half a unit of rounding of the eigenvalue counts as that: smaller ones are luck.
"""

from __future__ import annotations

import torch

from benchmarks.places import ROOT
from docs.tools.pages import fill
from ntk_sweep import ntk_spectrum
from tests.helpers.exact import absolute_errors
from tests.helpers.references import FILES, SHARED, reference

METHODS = ("auto", "eigh", "compensated", "double-double", "jacobian")

UNIT = torch.finfo(torch.float64).eps / 2


def main() -> None:
    """Prints the table and puts it into docs/theory/numerics.md."""
    if not FILES:
        raise SystemExit(
            f"no reference spectra in {SHARED}: set NTK_SWEEP_SHARED to the folder that has them"
        )
    lines = ["| method | eigenvalues | covered | median | worst |", "|---" * 5 + "|"]
    print("\n".join(lines))
    cases = [reference(path) for path in FILES]
    for method in METHODS:
        ratios, covered = [], 0
        for network, x, exact in cases:
            spectrum = ntk_spectrum(network, x, method=method)
            errors = absolute_errors(spectrum.eigenvalues, exact)
            covered += int((errors <= spectrum.errors).sum())
            least = UNIT * torch.tensor([float(value) for value in exact], dtype=torch.float64)
            ratios.append(spectrum.errors / errors.maximum(least))
        every = torch.cat(ratios)
        figures = f"{float(every.median()):.0e} | {float(every.max()):.0e}"
        lines.append(f"| {method} | {len(every)} | {covered} | {figures} |")
        print(lines[-1], flush=True)
    fill(ROOT / "docs" / "theory" / "numerics.md", "looseness", "\n".join(lines))


if __name__ == "__main__":
    main()
