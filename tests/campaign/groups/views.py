"""Tables of what is stored, beside a fuller one."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from tests.campaign.case import Group, Step, fine, refused, said
from tests.campaign.inputs import command, having, table

views = Group("views")
GROUPS = [views]


def kept(folder: Path) -> None:
    """The first, fuller table is still there."""
    frame = table(folder)
    assert {"gradient", "grad-cam"} <= set(frame.index), f"only {list(frame.index)} are left"
    assert len(pd.read_csv(folder / "out/images.csv")) == 6


full = command("--methods", "gradient,grad-cam", "--metrics", "AD,AREA")
for name, argv in (
    ("fewer methods", command("--metrics", "AD,AREA")),
    ("fewer metrics", command("--methods", "gradient,grad-cam")),
    ("fewer images", command("--methods", "gradient,grad-cam", "--metrics", "AD,AREA", "--limit", "2")),
    ("fewer of all, stored", command("--limit", "2", "--stored")),
    ("images skipped", command("--methods", "gradient,grad-cam", "--metrics", "AD,AREA", "--skip", "3")),
    ("the same, stored", [*full, "--stored"]),
):
    views.add(name, full, fine(), make=having(), then=[Step(tuple(argv), fine())], check=kept)
views.add("stored in an empty folder", command("--stored"), fine("nothing is stored"), make=having())
views.add("stored with a judge that never judged", command(), fine(), make=having(),
          then=[Step(tuple(command("--stored", "--judges", "net.py:build")), said(""))])  # fmt: skip
views.add("stored of a method that is unknown", command("--stored", "--methods", "grad-cma"), refused("grad-cam"),
          make=having())  # fmt: skip
views.add("forced again", full, fine(), make=having(), then=[Step((*full, "--force"), fine())], check=kept)
