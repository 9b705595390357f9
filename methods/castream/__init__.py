"""CA-Stream: cross-attention pooling beside a frozen network. Importing it registers the networks `castream:NAME` and
the explainer of their attention; `python -m methods.castream.train` trains one."""

from methods.castream import classifier, explainer
from methods.castream.architecture import stream_parameters

__all__ = ["classifier", "explainer", "stream_parameters"]
