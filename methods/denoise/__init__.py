"""Gradient denoising: networks that learn gradients like those of guided backpropagation. Importing it registers the
networks `denoise:FILE.safetensors`; `python -m methods.denoise.train` trains one."""

from methods.denoise import classifier

__all__ = ["classifier"]
