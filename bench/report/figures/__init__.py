"""Figures of a run, each in a file of its own; importing this package registers them all."""

from bench.core.discover import import_modules

import_modules(__name__, __path__)
