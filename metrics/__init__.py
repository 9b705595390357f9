"""Every metric of the suite; importing the package registers them."""

from metrics import average, curves, localisation, randomisation, sparseness, wsol  # noqa: F401
