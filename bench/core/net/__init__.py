"""How a network is cut at a layer and run."""
