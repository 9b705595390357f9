"""Classifiers by name: torchvision's and timm's nets, the embedded EfficientNet-Lites, and the user's own.

Importing this package registers them all.
"""

from bench.core.discover import import_modules

import_modules(__name__, __path__)
