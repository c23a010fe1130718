"""Scripts that refit constants of the library to measurements, and print or write them."""
