"""Networks that answer one class for a small patch, so that it is known where a map must lie. Importing it registers
the networks `trigger:NAME`; `python -m methods.trigger.train` tunes one."""

from methods.trigger import classifier

__all__ = ["classifier"]
