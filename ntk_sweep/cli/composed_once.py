"""Composes the settings of a command once.

Hydra composes them twice, a fifth of the time of a command whose row is in the store: once to learn
from `hydra.mode` whether they make one run or a sweep, and once to run.
"""

from __future__ import annotations

from contextlib import suppress

from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.types import RunMode
from omegaconf import DictConfig


class ComposedOnce(ConfigLoaderImpl):
    """Hydra's loader, which returns the settings that told the mode to whoever asks next."""

    _first: tuple[str | None, list[str], DictConfig] | None = None

    def load_configuration(
        self,
        config_name: str | None,
        overrides: list[str],
        run_mode: RunMode,
        from_shell: bool = True,
        validate_sweep_overrides: bool = True,
    ) -> DictConfig:
        """The settings, as Hydra composes them; raises what it raises."""
        first, self._first = self._first, None
        if not validate_sweep_overrides:  # as Hydra asks for the mode
            # Composed as for a run, which skips nothing: what has an error is composed as asked.
            with suppress(Exception):
                config = super().load_configuration(
                    config_name, overrides, RunMode.RUN, from_shell, False
                )
                self._first = config_name, list(overrides), config
                return config
        elif first is not None and first[0] == config_name:
            _, before, config = first
            # Where no mode is set, Hydra adds it to what was typed.
            added = [f"hydra.mode={run_mode.name}"] if len(overrides) > len(before) else []
            if overrides == before + added:
                parsed = OverridesParser.create().parse_overrides(overrides)
                self.validate_sweep_overrides_legal(parsed, run_mode, from_shell)
                if added:
                    config.hydra.mode = run_mode
                    config.hydra.overrides.hydra += added
                return config
        return super().load_configuration(
            config_name, overrides, run_mode, from_shell, validate_sweep_overrides
        )
