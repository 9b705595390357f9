"""The harness: it knows explainers, metrics, classifiers and data sets through their registries only."""
