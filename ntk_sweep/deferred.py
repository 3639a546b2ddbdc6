"""Modules that libraries ask for, and that are loaded where they are first used.

`import torch` takes half of the time of a small point. Two fifths of that go to modules of which
nothing here uses anything: kernels for tensors without data, export, quantisation, distributions,
optimisers, data loaders.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from importlib.util import LazyLoader, find_spec, module_from_spec
from types import ModuleType
from typing import Any

PARTS = frozenset(
    {
        "torch._meta_registrations",
        "torch.ao",
        "torch.distributions",
        "torch.export",
        "torch.masked",
        "torch.nn.intrinsic",
        "torch.nn.qat",
        "torch.nn.quantizable",
        "torch.nn.quantized",
        "torch.optim",
        "torch.quantization",
        "torch.utils.data",
    }
)
"""What `import torch` asks for without using it.

The first has no names that matter: it registers the kernels of the device "meta", which nothing
here computes on.
"""


UNDRAWN = ("fontTools.subset", "numpy.f2py")
"""What matplotlib and scipy ask for, and what no figure or table uses: the subsets of fonts of type
42, and the translator of Fortran. They take a fifth of the start of a report."""


def defer_modules(names: Sequence[str]) -> None:
    """Has modules loaded at the first use of one of their names; those that are loaded stay."""
    for name in names:
        package, _, own = name.rpartition(".")
        try:
            spec = None if name in sys.modules else find_spec(name)
        except ModuleNotFoundError:  # nor is its package there
            continue
        if spec is None or spec.loader is None:
            continue
        spec.loader = LazyLoader(spec.loader)
        module = sys.modules[name] = module_from_spec(spec)
        spec.loader.exec_module(module)
        # Whoever looks for it among the loaded modules would load it.
        setattr(sys.modules[package], own, module)


def defer_parts_of_torch() -> None:
    """Has `import torch` leave out its `PARTS` until one of them, or a further module, is used.

    It is for processes that are ours: commands and the workers of a sweep.
    """
    if not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Finder())


def _load_all() -> None:
    """Makes torch whole: its further modules rely on what its import has loaded.

    In the order in which torch asks for them.
    """
    sys.meta_path[:] = [finder for finder in sys.meta_path if not isinstance(finder, _Finder)]
    for module in list(sys.modules.values()):
        if isinstance(module, _Deferred):
            assert module.__spec__ and isinstance(module.__spec__.loader, _Later)
            module.__class__ = ModuleType  # type: ignore[assignment]
            module.__spec__.loader.load(module)


class _Deferred(ModuleType):
    """A module that is not loaded yet.

    That of `importlib.util.LazyLoader` is loaded by a second `import` of its name.
    """

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") and name != "__all__":
            raise AttributeError(name)  # which the import system asks for of every module
        _load_all()
        return getattr(self, name)


class _Later(Loader):
    def __init__(self, loader: Loader) -> None:
        self._loader = loader

    def exec_module(self, module: ModuleType) -> None:
        module.__class__ = _Deferred

    def load(self, module: ModuleType) -> None:
        assert module.__spec__
        module.__loader__ = module.__spec__.loader = self._loader
        self._loader.exec_module(module)


class _Loaded(Loader):
    """Hands over a module that was loaded while its finder was asked for it."""

    def __init__(self, module: ModuleType) -> None:
        self._module, self._spec = module, module.__spec__

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        return self._module

    def exec_module(self, module: ModuleType) -> None:
        module.__spec__ = self._spec


class _Finder(MetaPathFinder):
    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        torch = sys.modules.get("torch")
        if torch is None or not fullname.startswith("torch."):
            return None
        if getattr(torch.__spec__, "_initializing", False):
            spec = PathFinder.find_spec(fullname, path) if fullname in PARTS else None
            if spec is not None and spec.loader is not None:
                spec.loader = _Later(spec.loader)
            return spec
        _load_all()
        # Left where it is, it would be executed once more.
        there = sys.modules.pop(fullname, None)
        return None if there is None else ModuleSpec(fullname, _Loaded(there))
