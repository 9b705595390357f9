"""Perception Visualization: what a network's maps still say of the image, seen through the saliency map. A display, not
a row of a table: `python -m methods.perception.train` trains the inverting decoder, `python -m methods.perception.show`
draws."""
