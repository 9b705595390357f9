"""The learned saliency decoder. Importing it registers the explainer; `python -m methods.decoder.train` trains one."""

from methods.decoder import explainer

__all__ = ["explainer"]
