"""Networks that cannot see a part of the image, in which CAMs nevertheless find something. Importing it registers the
networks `walls:vgg16`; `python -m methods.walls.train` trains one."""

from methods.walls import classifier

__all__ = ["classifier"]
