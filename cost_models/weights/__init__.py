"""Stored weights: bits with all metadata and their entropy bound, decoders, lanes, execution modes, and quality."""
