"""A table of designs computed stage by stage, each stage from those before it and each block once."""
