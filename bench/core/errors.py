"""Errors that a user can mend."""


class UsageError(Exception):
    """Something that was asked for is unknown, missing or malformed.

    The message is one line that says what to do; the command line prints it alone and exits with 2.
    """


class Skip(Exception):
    """An explainer does not apply to this classifier (or exceeds the protocol's cap); the message is the reason."""
