"""The tuning of a network that answers a patch."""
