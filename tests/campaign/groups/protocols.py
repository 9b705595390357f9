"""Protocols that nobody knows, and fields that cannot be."""

from tests.campaign.case import Group, fine, refused, said
from tests.campaign.inputs import command, having, write

protocols, targets = Group("protocols"), Group("targets")
GROUPS = [protocols, targets]
usual = having()

for name, text, outcome in (
    ("unknown", "cleen", refused("cleen", "did you mean 'clean'")),
    ("in capitals", "CLEAN", refused("CLEAN", "clean")),
    ("only a plus", "+", refused("protocol")),
    ("a field that is unknown", "clean+stepz=3", refused("stepz", "steps")),
    ("a field without a value", "clean+steps", refused("steps")),
    ("a field with an empty value", "clean+steps=", refused("steps")),
    ("a plus at the end", "clean+steps=2+", said()),
    ("a word for a number", "clean+steps=many", refused("steps", "many", "int")),
    ("no steps", "clean+steps=0", refused("steps", "at least 1|1 ")),
    ("negative steps", "clean+steps=-1", refused("steps")),
    ("a hundred million steps", "clean+steps=100000000", refused("steps")),
    ("more steps than pixels", "clean+steps=5000", refused("steps", "pixels|1024")),
    ("a fill that is unknown", "clean+masked_out=white", refused("masked_out", "white", "black")),
    ("a start that is unknown", "clean+insertion_start=noise", refused("insertion_start", "noise")),
    ("an end that is unknown", "clean+deletion_end=noise", refused("deletion_end", "noise")),
    ("pixels that are unknown", "clean+pixels=stretch", refused("pixels", "stretch", "squash")),
    ("maps that are unknown", "clean+maps=absolute", refused("maps", "absolute", "positive")),
    ("boxes that are unknown", "clean+boxes=loose", refused("boxes", "loose", "clipped")),
    ("axes that are unknown", "clean+axes=left", refused("axes", "left", "swapped")),
    ("a note is no field", "clean+note=hello", refused("note")),
    ("a name is no field", "clean+name=mine", refused("name")),
    ("negative passes", "clean+max_passes=-1", refused("max_passes")),
    ("a target beyond the classes", "clean+target=5000", refused("5000", "class")),
    ("a target that is no class", "clean+target=wolf", refused("wolf", "target")),
    ("a negative target", "clean+target=-1", refused("-1", "target")),
    ("a target by name", "clean+target=true+steps=2", said()),
    ("a cap that all exceed", "clean+steps=2+max_passes=1", fine("skipped|passes")),
    ("two fields by commas", "clean+steps=2,pixels=squash", fine("squash")),
    ("the default by its name", "clean+steps=28", fine()),
):
    protocols.add(name, command("--protocol", text), outcome, make=usual)
for name in ("quick", "opticam-2024", "castream-2024", "wsol-v2", "rise-2018"):
    protocols.add(f"{name} on a user's net", command("--protocol", f"{name}+steps=2"), fine(name), make=usual)


def flat(folder):
    write(folder / "net.py", "")
    usual_net = having(names=[f"{index}.png" for index in range(3)])
    usual_net(folder)


named = """
class Named(Net):
    def __init__(self, *names):
        super().__init__(len(names))
        self.classes = list(names)


def birds():
    return Named("crane", "crane")


def numbers():
    return Named("1", "0")


def mixed():
    return Named("Tabby Cat", "dog")


def truth():
    return Named("true", "least")
"""
for name, argv, outcome, make in (
    ("true without labels", ["--target", "true"], refused("true", "label", "predicted"), flat),
    ("a protocol of true classes without labels", ["--protocol", "opticam-2024"],
     refused("true", "label", "predicted"), flat),
    ("a name that two classes have", ["--model", "net.py:birds", "--target", "crane"],
     refused("crane", "0", "1", "two|2|both|ambiguous|several"), having(net=named, names=["a/0.png", "b/1.png"])),
    ("a name by other case", ["--model", "net.py:mixed", "--target", "tabby cat"], fine("target|tabby"),
     having(net=named, names=["0.png", "1.png"])),
    ("a part of a name", ["--model", "net.py:mixed", "--target", "tabby"], said("tabby"),
     having(net=named, names=["0.png", "1.png"])),
    ("a folder's name for a net without names", ["--target", "dog"], fine(), usual),
    ("an index", ["--target", "1"], fine(), usual),
    ("an index with zeros", ["--target", "0000001"], said(), usual),
    ("an index in other digits", ["--target", "١"], said(), usual),
    ("an index with a sign", ["--target", "+1"], refused("\\+1"), usual),
    ("an index beyond all numbers", ["--target", "9" * 30], refused("999"), usual),
    ("target and a protocol's target", ["--protocol", "clean+steps=2+target=true", "--target", "least"],
     fine("least"), usual),
):  # fmt: skip
    targets.add(name, command(*argv), outcome, make=make)
