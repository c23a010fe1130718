"""A technology that knows only what it is told."""


class Told(dict):
    """A technology that holds nothing but what replaces its parameters."""

    library = None

    def with_overrides(self, values):
        return Told({**self, **values})

    def value(self, name):
        return self[name]
