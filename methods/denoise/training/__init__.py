"""The training of networks with denoised gradients."""
