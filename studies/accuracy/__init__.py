"""The tables of docs/validation.md, from the rows and constants that the library ships."""
