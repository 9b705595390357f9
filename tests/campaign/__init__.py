"""Bad and unusual inputs, each with the exit code and the line that a user must see: `python -m tests.campaign`."""
