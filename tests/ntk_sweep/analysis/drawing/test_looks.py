"""Protects that activations and networks are told apart by colour and marker."""

from __future__ import annotations

from matplotlib.figure import Figure

from ntk_sweep.analysis.drawing.looks import activation_looks, colour, marker, network_looks
from ntk_sweep.analysis.drawing.rendering import style
from ntk_sweep.network.activations.registry import ACTIVATIONS


def test_a_network_looks_like_its_activation_where_activations_differ():
    assert (
        network_looks([("sigmoid", 1, 2)]) == network_looks([("relu", 1, 2), ("sigmoid", 9, 9)])[1:]
    )
    same = network_looks([("relu", 1, 2), ("relu", 2, 2), ("elu", 3, 2)])
    assert len(set(same)) == 3


def test_however_many_activations_all_look_different(monkeypatch):
    more = {f"act{place}": ACTIVATIONS["relu"] for place in range(40)}
    monkeypatch.setattr("ntk_sweep.analysis.drawing.looks.ACTIVATIONS", ACTIVATIONS | more)
    found = activation_looks([*ACTIVATIONS, *more, "unknown", "other"])
    assert len({look.colour for look in found.values()}) == len(found)
    assert len({look.marker for look in found.values()}) == len(found)


def test_an_activation_of_the_library_looks_the_same_beside_any_other():
    alone = activation_looks(["silu"])["silu"]
    assert activation_looks(["unknown", "relu", "silu"])["silu"] == alone
    assert activation_looks(["unknown", "silu"])["unknown"] not in (
        activation_looks([act])[act] for act in ACTIVATIONS
    )


def test_every_marker_can_be_drawn():
    with style():
        axes = Figure().add_subplot()
        for place in range(30):
            axes.plot([place], [1.0], marker=marker(place), color=colour(place))
        assert len(axes.get_lines()) == 30
