"""Ray's address, where no cluster answers."""

from __future__ import annotations

from tests.campaign.case import Group, refused
from tests.campaign.inputs import command, having

engine = Group("engine")
GROUPS = [engine]

for name, address in (
    ("a closed port", "127.0.0.1:1"),
    ("a host that cannot be resolved", "no-such-host.invalid:6379"),
    ("no port", "127.0.0.1"),
    ("a port of letters", "127.0.0.1:port"),
    ("a port beyond all", "127.0.0.1:99999"),
    ("an empty address", ""),
):
    engine.add(name, command("--engine", "ray", "--ray-address", address), refused("ray-address|Ray|cluster"),
               make=having(), seconds=40)  # fmt: skip
engine.add("an engine that is unknown", command("--engine", "dask"), refused("dask|choice"), make=having())
