"""The training of the inverting decoder."""
