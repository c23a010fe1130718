"""Every parameter and metric by name: unit, meaning, better direction.

One truth for sweep files, table columns, plot axes and the reference pages.
A workload's metric is written ``workload.metric`` (``chat_70b.tpot_ms``), a design's bare (``die_mm2``).
"""
