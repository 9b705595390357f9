"""Every metric of the suite; importing the package registers them."""

from metrics import average, curves, randomisation, sparseness  # noqa: F401
