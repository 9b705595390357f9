"""What `methods.decoder.train` alone uses. Nothing else in `methods` imports it, since it knows the harness."""
