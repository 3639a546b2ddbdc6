"""Composing settings reads the same files and interpolations hundreds of times; the tests' own
process parses each text once. Processes that tests start parse as users' do."""

import functools

import yaml
from omegaconf import OmegaConf, _utils, base, grammar_parser


def remember():
    """From now on; what is parsed is a pure function of the text."""
    load, parse = OmegaConf.load, functools.lru_cache(maxsize=None)(grammar_parser.parse)

    @functools.lru_cache(maxsize=None)
    def plain(text):
        return yaml.load(text, _utils.get_yaml_loader())

    def loaded(file):
        found = plain(file.read()) if hasattr(file, "read") else None
        # `create` copies; what is no mapping is left to OmegaConf
        if isinstance(found, dict):
            return OmegaConf.create(found)
        if hasattr(file, "seek"):
            file.seek(0)
        return load(file)

    OmegaConf.load = staticmethod(loaded)
    for module in (_utils, base):  # which hold the function by name; parse trees are only read
        module.parse = parse
