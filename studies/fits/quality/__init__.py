"""The fit of perplexity to published measurements of compressed models."""
