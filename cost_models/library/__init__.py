"""Typed access to the library's cited data: chips, models, nodes, memories, formats, stacks and ranged numbers.

``reader.py`` reads the tree of YAML files under ``data/`` into a `Library`: ``files.py`` finds sections, files and
lines, ``plain_yaml.py`` parses. ``records.py`` and ``models.py`` hold the records of entries, ``parameters.py``
collects every ranged number with its source, ``huggingface.py`` makes a model's entry of a published configuration.
"""

from cost_models.library.models import Model, WeightFormat
from cost_models.library.reader import Library, Support, extended_library, read_library, shipped_library
from cost_models.library.records import Chip, LibraryParameter, Source

__all__ = [
    "Chip", "Library", "LibraryParameter", "Model", "Source", "Support", "WeightFormat", "extended_library",
    "read_library", "shipped_library",
]  # fmt: skip
