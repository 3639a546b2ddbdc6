"""The settings in words, a line each, for the help page."""

from __future__ import annotations

from dataclasses import fields

from ntk_sweep.data.sources import SOURCES
from ntk_sweep.settings.checks import OneOf
from ntk_sweep.settings.schema import SweepConfig
from ntk_sweep.settings.tasks import TASKS
from ntk_sweep.settings.validation import check_of, setting_fields, setting_names


def settings_help() -> str:
    """Every setting, what it is, and what it may be; those of a group under the group's line."""
    found, lines = setting_fields(), {}
    for item in fields(SweepConfig):
        lines[item.name] = item.metadata["text"]
        for name, inner in found.items():
            if (name == item.name or name.startswith(f"{item.name}.")) and "text" in inner.metadata:
                lines[name] = inner.metadata["text"] + _choices(name) + _owners(name)
    # chosen with their group
    lines = {name: text for name, text in lines.items() if not name.endswith(".name")}
    width = max(map(len, lines))
    return "\n".join(f"{name:<{width}}  {text}" for name, text in lines.items())


def _choices(name: str) -> str:
    check = check_of(setting_fields()[name])
    return f": {', '.join(check.choices)}" if isinstance(check, OneOf) else ""


def _owners(name: str) -> str:
    """Which data sets or tasks a setting is for, unless it is for all."""
    group, _, leaf = name.partition(".")
    if group == "task":
        owners = [task for task in TASKS if name in setting_names(task)]
        return f" (task={' or '.join(owners)})" if len(owners) < len(TASKS) else ""
    owners = [source.name for source in SOURCES.values() if source.place == leaf]
    return f" (data={' or '.join(owners)})" if group == "data" and owners else ""
