"""Paper tables, and flags that they fix."""

from __future__ import annotations

from tests.campaign.case import Group, refused
from tests.campaign.inputs import having, text

tables = Group("paper tables")
GROUPS = [tables]
TABLE = "opticam-localization"

for name, argv, words in (
    ("a name that is unknown", ["--table", "opticam"], ("opticam-", "did you mean|known")),
    ("a protocol beside it", ["--table", TABLE, "--protocol", "clean"], ("--protocol",)),
    ("a layer beside it", ["--table", TABLE, "--layer", "layer4"], ("--layer",)),
    ("maps beside it", ["--table", TABLE, "--maps", "photos"], ("--maps",)),
    ("a method that it lacks", ["--table", TABLE, "--methods", "occlusion"], ("occlusion",)),
    ("a metric that it lacks", ["--table", TABLE, "--metrics", "AUC"], ("AUC",)),
    ("a classifier that it lacks", ["--table", TABLE, "--model", "alexnet"], ("alexnet",)),
    ("boxes that are not there", ["--table", TABLE, "--methods", "fake-cam", "--boxes", "nowhere"], ("nowhere|data",)),
    ("a limit of boxes alone", ["--table", TABLE, "--methods", "fake-cam", "--boxes", "boxes", "--limit", "3"],
     ("--limit|boxes|data",)),
):  # fmt: skip
    empty = having(text("boxes/localization.txt", ""), text("boxes/image_sizes.txt", ""))
    tables.add(name, argv, refused(*words), make=empty)
