"""Every metric of the suite; importing the package registers them."""

from metrics import area, average, curves, localisation, randomisation, sparseness, wsol  # noqa: F401
