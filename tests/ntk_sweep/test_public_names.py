import pytest
import torch

import ntk_sweep


def test_public_names_are_those_promised():
    from ntk_sweep import Network, Spectrum, empirical_ntk, load_results, ntk_spectrum

    network = Network.initialise(
        n_inputs=3, width=4, depth=2, activation="relu", parametrisation="thesis", seed=0
    )
    again = Network(network.weights, network.biases, "relu", "thesis")
    x = torch.ones(2, 3, dtype=torch.float64)
    spectrum = ntk_spectrum(again, x)
    assert isinstance(spectrum, Spectrum)
    assert spectrum.eigenvalues.sum().item() == pytest.approx(
        empirical_ntk(network, x).trace().item()
    )
    assert (spectrum.errors.shape, spectrum.method) == ((2,), "double-double")
    assert callable(load_results)


def test_every_listed_name_exists():
    for name in ntk_sweep.__all__:
        assert getattr(ntk_sweep, name).__name__ == name


def test_other_names_do_not_exist():
    with pytest.raises(AttributeError, match="module 'ntk_sweep' has no attribute 'ntk_spectra'"):
        ntk_sweep.ntk_spectra  # noqa: B018
