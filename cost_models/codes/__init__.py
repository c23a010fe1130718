"""Codes of compressed weights for real: masks, groups, containers, the XOR code, and the lanes that execute them."""
