"""Errors and their bounds against the reference spectra: the table of docs/theory/numerics.md.

    python -m benchmarks.numerics.accuracy

Needs the folder of reference spectra and images, at $NTK_SWEEP_SHARED or beside the checkout.
"""

from __future__ import annotations

from benchmarks.places import ROOT
from docs.tools.pages import fill
from ntk_sweep import ntk_spectrum
from tests.helpers.exact import absolute_errors
from tests.helpers.references import FILES, SHARED, reference

METHODS = ("eigh", "compensated", "double-double", "jacobian")


def main() -> None:
    """Prints the table and puts it into docs/theory/numerics.md."""
    if not FILES:
        raise SystemExit(
            f"no reference spectra in {SHARED}: set NTK_SWEEP_SHARED to the folder that has them"
        )
    lines = [
        f"| network | λ_min | {' | '.join(f'{method} | its bound' for method in METHODS)} |",
        "|---" * (2 + 2 * len(METHODS)) + "|",
    ]
    print("\n".join(lines))
    for path in FILES:
        network, x, exact = reference(path)
        _, act, width, depth, *_ = path.stem.split("_")
        figures = []
        for method in METHODS:
            spectrum = ntk_spectrum(network, x, method=method)
            errors = absolute_errors(spectrum.eigenvalues, exact)
            relative = max(
                float(error) / float(value) for error, value in zip(errors, exact, strict=True)
            )
            figures.append(f"{relative:.0e} | {float(spectrum.errors[0]) / float(exact[0]):.0e}")
        lines.append(f"| {act} {width} × {depth} | {float(exact[0]):.1e} | {' | '.join(figures)} |")
        print(lines[-1], flush=True)
    fill(ROOT / "docs" / "theory" / "numerics.md", "accuracy", "\n".join(lines))


if __name__ == "__main__":
    main()
