"""Data sets, their manifest, and the way from a file to pixels. Importing this package registers the data sets."""

from bench.core.discover import import_modules

import_modules(__name__, __path__)
