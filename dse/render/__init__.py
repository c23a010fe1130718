"""Everything that people look at: tables and lines for the terminal, plots, and the report."""
