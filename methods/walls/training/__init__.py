"""The training of a network that cannot see everything."""
