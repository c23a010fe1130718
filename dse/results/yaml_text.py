"""Plain data to YAML text that YAML 1.1 and 1.2 read alike."""

from __future__ import annotations

import yaml


def yaml_text(value: object) -> str:
    """Return dicts, lists and scalars as YAML, keys in their order."""
    return str(yaml.safe_dump(value, sort_keys=False, allow_unicode=True, width=120))
