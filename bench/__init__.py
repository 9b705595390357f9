"""The harness: it knows explainers, metrics, classifiers and data sets through their registries only."""

import os

os.environ.setdefault("RAY_ENABLE_UV_RUN_RUNTIME_ENV", "0")
# Ray reads this when it is imported, by whomever. Else Ray, started below `uv run`, copies the folder and the whole
# environment to every node, gigabytes in the temporary folder, and installs all again.
