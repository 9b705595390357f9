"""Who carries out the units of a run: this process, or a cluster. Importing this package registers the engines."""

from bench.core.discover import import_modules

import_modules(__name__, __path__)
