"""The cases, a file for each topic."""

from tests.campaign.case import Case, Group
from tests.campaign.groups import (
    boxes,
    command_line,
    data,
    disk,
    engine,
    facts,
    labels,
    maps,
    models,
    plugins,
    process,
    protocols,
    tables,
    views,
    weights,
)

MODULES = (
    boxes, command_line, data, disk, engine, facts, labels, maps, models, plugins, process, protocols, tables, views,
    weights,
)  # fmt: skip
GROUPS: list[Group] = [group for module in MODULES for group in module.GROUPS]
CASES: list[Case] = [case for group in GROUPS for case in group.cases]
"""Every case, group by group."""

titles = [case.title for case in CASES]
if repeated := {title for title in titles if titles.count(title) > 1}:
    raise ValueError(f"cases with one title: {sorted(repeated)}")
