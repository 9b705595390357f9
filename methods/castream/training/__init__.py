"""The training of a stream."""
