"""Facts of a user's net in the types in which people have them: taken, or refused, never dropped."""

from tests.campaign.case import Group, Step, fine, refused, said
from tests.campaign.inputs import command, having, table

facts = Group("facts of a network")
GROUPS = [facts]

NETS = """
import numpy as np
from torchvision.transforms import InterpolationMode

M, S = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]


def with_facts(**found):
    net = Net()
    for name, value in {"mean": M, "std": S, **found}.items():
        if value is not None:
            setattr(net, name, value)
    return net
"""
RIGHT = "with_facts()"
BUILDERS = {
    "a tensor": "with_facts(mean=torch.tensor(M), std=torch.tensor(S))",
    "a tensor of four axes": "with_facts(mean=torch.tensor(M).view(1, 3, 1, 1), std=torch.tensor(S).view(1, 3, 1, 1))",
    "a NumPy array": "with_facts(mean=np.array(M), std=np.array(S))",
    "a tuple": "with_facts(mean=tuple(M), std=tuple(S))",
    "a tensor in half precision": "with_facts(mean=torch.tensor(M).double(), std=torch.tensor(S).double())",
    "size as a pair": "with_facts(input_size=(32, 32))",
    "size as timm has it": "with_facts(input_size=(3, 32, 32))",
    "size of NumPy": "with_facts(input_size=np.int64(32))",
    "size as a float": "with_facts(input_size=32.0)",
    "size as a tensor": "with_facts(input_size=torch.tensor(32))",
    "timm's recipe": "with_facts(mean=None, std=None, pretrained_cfg={'mean': M, 'std': S, 'input_size': (3, 32, 32)})",
    "classes as a dictionary": "with_facts(classes={0: 'cat', 1: 'dog'})",
    "classes as torchvision's class_to_idx": "with_facts(classes={'cat': 0, 'dog': 1})",
    "classes as an array": "with_facts(classes=np.array(['cat', 'dog']))",
}


def equal_tables(folder):
    """The scores of the plain facts."""
    found, expected = (float(table(folder, out).loc["gradient", "AD"]) for out in ("other", "own"))
    assert abs(found - expected) < 1e-3, f"AD {found}, and {expected} from plain facts"


def with_net(builder):
    return having(net=f"{NETS}\n\ndef other():\n    return {builder}\n\n\ndef own():\n    return {RIGHT}\n")


for name, builder in BUILDERS.items():
    # The size and the recipe may choose another size of resize; they are the same net on the same pixels.
    second = Step(tuple(command("--model", "net.py:own", "--out", "own")), fine())
    facts.add(f"{name}: the same table", command("--model", "net.py:other", "--out", "other"), fine("0.485"),
              make=with_net(builder), then=[second], check=equal_tables)  # fmt: skip

for name, builder, outcome in (
    ("size of two sides", "with_facts(input_size=(32, 64))", refused("input_size", "square")),
    ("size 0", "with_facts(input_size=0)", refused("input_size")),
    ("size negative", "with_facts(input_size=-32)", refused("input_size")),
    ("size a fraction", "with_facts(input_size=32.5)", refused("input_size")),
    ("size a word", "with_facts(input_size='large')", refused("input_size", "large|number")),
    ("size a number as text", "with_facts(input_size='32')", said("")),
    ("size yes", "with_facts(input_size=True)", said("")),
    ("size NaN", "with_facts(input_size=float('nan'))", refused("input_size")),
    ("mean of two", "with_facts(mean=[0.5, 0.5])", refused("mean", "3")),
    ("mean of words", "with_facts(mean=['a', 'b', 'c'])", refused("mean", "number")),
    ("mean NaN", "with_facts(mean=[0.5, 0.5, float('nan')])", refused("mean", "finite")),
    ("mean on the scale of 255", "with_facts(mean=[123.7, 116.3, 103.5])", refused("mean", "255")),
    ("mean one number", "with_facts(mean=0.5, std=0.25)", fine("0.5")),
    ("mean empty", "with_facts(mean=[])", refused("mean")),
    ("mean nested", "with_facts(mean=[[1], [1, 2]])", refused("mean")),
    ("std 0", "with_facts(std=[0, 0, 0])", refused("std", "0")),
    ("std negative", "with_facts(std=[-1, 1, 1])", refused("std")),
    ("std on the scale of 255", "with_facts(std=[58.4, 57.1, 57.4])", refused("std", "255")),
    ("std infinite", "with_facts(std=[1, 1, float('inf')])", refused("std", "finite")),
    ("interpolation in capitals", "with_facts(interpolation='Bicubic')", fine("bicubic")),
    ("interpolation as an enum", "with_facts(interpolation=InterpolationMode.BICUBIC)", fine("bicubic")),
    (
        "interpolation unknown",
        "with_facts(interpolation='cubic-ish')",
        refused("interpolation", "cubic-ish", "bicubic"),
    ),  # noqa: E501
    ("interpolation a number", "with_facts(interpolation=3)", refused("interpolation")),
    ("classes one text", "with_facts(classes='cat,dog')", refused("classes", "list|names")),
    ("classes a number", "with_facts(classes=2)", refused("classes")),
    ("classes too few", "with_facts(classes=['cat'])", refused("1", "2", "class")),
    ("classes too many", "with_facts(classes=['cat', 'dog', 'eel'])", refused("3", "2", "class")),
    ("classes with a gap", "with_facts(classes={0: 'cat', 2: 'dog'})", refused("classes")),
    ("classes twice the same name", "with_facts(classes=['cat', 'cat'])", said("")),
    ("classes of numbers", "with_facts(classes=[0, 1])", fine()),
    ("output unknown", "with_facts(output='softmax')", refused("softmax", "probabilities|known")),
    ("output a number", "with_facts(output=1)", refused("output")),
    ("layer unknown", "with_facts(layer='layer4')", refused("layer4")),
    ("layer a number", "with_facts(layer=3)", refused("layer|'3'")),
    ("layer a module", "with_facts(layer=nn.Identity())", said("")),
    ("prefix tokens negative", "with_facts(prefix_tokens=-1)", refused("prefix_tokens")),
    ("prefix tokens a fraction", "with_facts(prefix_tokens=0.5)", refused("prefix_tokens")),
    ("a recipe that is no dictionary", "with_facts(pretrained_cfg='timm')", said("")),
    ("a recipe with a bad mean", "with_facts(mean=None, pretrained_cfg={'mean': [1, 2]})", refused("mean")),
    ("nothing stated", "with_facts(mean=None, std=None)", fine("none stated")),
):
    facts.add(name, command("--model", "net.py:other"), outcome, make=with_net(builder))

facts.add(
    "mean as a buffer", command("--model", "net.py:other"), refused("mean", "buffer", "--mean"),
    make=having(net="""
def other():
    net = Net()
    net.register_buffer("mean", torch.zeros(1, 3, 1, 1))
    return net
"""))  # fmt: skip
facts.add(
    "a submodule called mean", command("--model", "net.py:other"), fine(),
    make=having(net="""
def other():
    net = Net()
    net.mean = nn.Identity()
    return net
"""))  # fmt: skip
facts.add("flags over the net's own facts", command("--model", "net.py:own", "--mean", "0,0,0", "--std", "1,1,1"),
          fine("none stated|mean 0"), make=with_net("None"))  # fmt: skip
facts.add("one number for all colours", command("--mean", "0.5", "--std", "0.25"), fine("0.5"), make=having())
facts.add("accuracy at chance is said", command("--model", "net.py:chance", "--target", "true"), fine("chance|top-1"),
          make=having(net="""
def chance():
    net = Net()
    net.fc.bias.data[:] = torch.tensor([50.0, 0.0])
    net.classes = ["cat", "dog"]
    return net
"""))  # fmt: skip
facts.add("the title says the normalisation", command("--model", "net.py:own"), fine(), make=with_net("None"),
          check=lambda folder: text_in(folder / "out/leaderboard.md", "0.485"))  # fmt: skip


def text_in(file, words):
    assert words in file.read_text(), f"{file.name} does not say {words!r}"
