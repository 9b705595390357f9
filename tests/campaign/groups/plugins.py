"""Other people's code: explainers, metrics, data sets and networks that raise, exit, change things, answer garbage."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from tests.campaign.case import FAILED, Group, Outcome, Step, failed, fine, refused, said
from tests.campaign.inputs import all_of, command, has_row, having, images, table, text

explainers, metrics, others = Group("plug-in explainers"), Group("plug-in metrics"), Group("other plug-ins")
GROUPS = [explainers, metrics, others]

EXPLAINER = """
import os, sys
import numpy as np
import torch
from torch import nn
from cambench import Passes, Skip, UsageError, explainer

def good(images):
    return images.mean(1)

@explainer("mine", paper="none"{facts})
def mine(classifier, images, targets{parameters}):
{body}
"""
METRIC = """
import os, sys
import torch
from cambench import Value, metric

def probe(case):
{probe}

@metric("MINE", kind="{kind}", better="higher", title="Mine", paper="none"{facts})
def mine({arguments}):
{body}
"""


def lines(code: str) -> str:
    return "\n".join(f"    {line}" for line in code.splitlines())


def an_explainer(body: str, facts: str = "", parameters: str = "") -> Callable[[Path], None]:
    comma = ", " if facts else ""
    return having(text("plug.py", EXPLAINER.format(body=lines(body), facts=comma + facts, parameters=parameters)))


def a_metric(body: str, kind: str = "map", facts: str = "", probe: str = "yield case.image[None] * case.map"):
    comma = ", " if facts else ""
    arguments = {"map": "case", "score": "scores", "re-explain": "case, explain, classifier"}[kind]
    code = METRIC.format(body=lines(body), kind=kind, facts=comma + facts, arguments=arguments, probe=lines(probe))
    return having(text("plug.py", code))


with_mine = command("--plugin", "plug.py", "--methods", "mine,gradient", "--metrics", "AD,I")
ended = all_of(has_row("mine", "failed"), has_row("gradient"))


def clean(folder: Path) -> None:
    """The neighbour's row is that of a run without the plug-in."""
    for column in ("AD", "I"):
        found, expected = (float(table(folder, out).loc["gradient", column]) for out in ("out", "alone"))
        assert abs(found - expected) < 1e-6, f"{column} of gradient is {found}, and {expected} without the plug-in"


alone = Step(tuple(command("--methods", "gradient", "--metrics", "AD,I", "--out", "alone")), fine())
for name, body in (
    ("raises", "raise RuntimeError('the plug-in\\nbroke')"),
    ("raises without a word", "raise ValueError"),
    ("exits", "sys.exit(3)"),
    ("exits with success", "sys.exit(0)"),
    ("raises KeyboardInterrupt", "raise KeyboardInterrupt"),
    ("raises GeneratorExit", "raise GeneratorExit"),
    ("raises StopIteration", "raise StopIteration"),
    ("recurses", "return mine(classifier, images, targets)"),
    ("fails an assertion", "assert False"),
    ("asks for too much memory", "return torch.empty(2 ** 50)"),
    ("raises MemoryError", "raise MemoryError"),
    ("raises for one image", "if len(images) < 4 or images.mean() > 0: raise ValueError('not this one')"),
    ("raises an exception whose text raises", "class Bad(Exception):\n    def __str__(self): raise ValueError\nraise Bad"),  # noqa: E501
    ("raises a usage error", "raise UsageError('no such file: my.npy')"),
    ("returns nothing", "pass"),
    ("returns a number", "return 3.0"),
    ("returns NumPy", "return good(images).numpy()"),
    ("returns a list", "return list(good(images))"),
    ("returns one map for all", "return good(images)[:1]"),
    ("returns too many maps", "return good(images).repeat(2, 1, 1)"),
    ("returns flat maps", "return good(images).flatten(1)"),
    ("returns maps with an axis of one", "return good(images)[:, None]"),
    ("returns maps without pixels", "return good(images)[:, :0]"),
    ("returns a scalar tensor", "return good(images).sum()"),
    ("returns complex maps", "return good(images).to(torch.complex64)"),
    ("returns a sparse tensor", "return good(images).to_sparse()"),
    ("returns a tensor on the meta device", "return good(images).to('meta')"),
    ("asks for a layer that is not there", "return classifier.taps(['layer4'])(images)[0][0].mean(1)"),
    ("asks for a file that is not there", "open('nowhere')"),
    ("divides by zero", "1 / 0"),
):  # fmt: skip
    explainers.add(name, with_mine, Outcome((FAILED,), ("mine",)), make=an_explainer(body), then=[alone],
                   check=all_of(ended, clean) if "memory" not in name.lower() else has_row("gradient"))  # fmt: skip
for name, body in (
    ("changes a weight", "classifier._net.fc.weight.data.mul_(2)\nreturn good(images)"),
    ("changes a weight in place", "with torch.no_grad(): classifier._net.fc.bias.add_(1)\nreturn good(images)"),
    ("changes a weight and raises", "classifier._net.fc.weight.data.mul_(2)\nraise ValueError('broke')"),
    ("leaves a hook", "classifier._net.f.register_forward_hook(lambda *a: a[2] * 2)\nreturn good(images)"),
    ("leaves a hook that counts backwards", "classifier._net.f.register_full_backward_hook(lambda *a: None)\n"
     "return good(images)"),
    ("leaves training mode", "classifier._net.train()\nreturn good(images)"),
    ("leaves requires_grad", "classifier._net.requires_grad_(True)\nreturn good(images)"),
    ("replaces a layer", "classifier._net.fc = nn.Linear(8, 2)\nreturn good(images)"),
    ("replaces forward", "classifier._net.forward = lambda x: x.mean((2, 3))[:, :2]\nreturn good(images)"),
    ("changes the images", "images.mul_(0.5)\nreturn good(images)"),
    ("changes the images' data", "images.data.zero_()\nreturn good(images) + 1"),
    ("changes the folder", "os.chdir('/')\nreturn good(images)"),
    ("moves the net to double", "classifier._net.double()\nreturn good(images)"),
    ("forbids gradients", "torch.set_grad_enabled(False)\nreturn good(images)"),
    ("changes the default type", "torch.set_default_dtype(torch.float64)\nreturn good(images)"),
    ("changes the normalisation", "classifier._shift.add_(0.1)\nreturn good(images)"),
):  # fmt: skip
    explainers.add(name, with_mine, Outcome((0, FAILED), ("mine",)), make=an_explainer(body), then=[alone],
                   check=all_of(has_row("gradient"), clean))  # fmt: skip
for name, body in (
    ("seeds torch", "torch.manual_seed(7)\nreturn good(images)"),
    ("draws without a seed", "return torch.rand(len(images), 7, 7)"),
    ("writes to standard output", "print('hello ' * 100)\nreturn good(images)"),
    ("writes to standard error", "print('hello', file=sys.stderr)\nreturn good(images)"),
    ("warns", "import warnings; warnings.warn('careful')\nreturn good(images)"),
    ("starts a thread", "import threading; threading.Thread(target=lambda: None).start()\nreturn good(images)"),
    ("changes what NumPy says of errors", "np.seterr(all='raise')\nreturn good(images)"),
    ("closes standard output", "sys.stdout = open(os.devnull, 'w')\nreturn good(images)"),
    ("returns half precision", "return good(images).half()"),
    ("returns double precision", "return good(images).double()"),
    ("returns whole numbers", "return (good(images) * 255).long()"),
    ("returns maps of another shape each batch", "return torch.rand(len(images), 3 + len(images), 5)"),
    ("returns maps that require a gradient", "return good(images.requires_grad_(True))"),
    ("returns a view of its input", "return images[:, 0]"),
    ("returns NaN", "return good(images) * float('nan')"),
    ("returns infinity", "return good(images) / 0"),
    ("returns zeros", "return good(images) * 0"),
    ("returns a constant", "return good(images) * 0 + 3"),
    ("returns huge numbers", "return good(images) * 1e38"),
    ("returns tiny numbers", "return good(images) * 1e-38"),
    ("returns a map of 1 x 1", "return torch.ones(len(images), 1, 1)"),
):  # fmt: skip
    explainers.add(name, with_mine, fine("mine"), make=an_explainer(body), then=[alone],
                   check=all_of(has_row("mine"), clean))  # fmt: skip
for name, body, facts, parameters, outcome in (
    ("skips", "raise Skip('not for this net')", "", "", fine("mine", "not for this net")),
    ("skip raises", "return good(images)", "skip=lambda c: 1 / 0", "", failed("mine", "ZeroDivision")),
    ("skip exits", "return good(images)", "skip=lambda c: sys.exit(4)", "", failed("mine")),
    ("skip is no function", "return good(images)", "skip='never'", "", failed("mine")),
    ("passes raises", "return good(images)", "passes=lambda c: 1 / 0", "", failed("mine", "ZeroDivision")),
    ("passes gives a number", "return good(images)", "passes=lambda c: 3", "", Outcome((0, FAILED), ("mine",))),
    ("learned raises", "return good(images)", "learned=lambda c: 1 / 0", "", failed("mine", "ZeroDivision")),
    ("an order that is unknown", "return good(images)", "order='upside-down'", "",
     Outcome((0, FAILED, 2), ("upside-down|mine",))),
    ("a fact that is unknown", "return good(images)", "colour='red'", "", refused("plug.py", "colour")),
    ("a library that is not installed", "return good(images)", "library='nosuchpackage'", "",
     Outcome((FAILED, 2), ("nosuchpackage",))),
    ("quick parameters that it has not", "return good(images)", "quick='steps=3'", "", said("")),
    ("a parameter without a type", "return good(images)", "", ", *, power=2", refused("power", "type")),
    ("a parameter without a default", "return good(images)", "", ", *, power: float", refused("power", "default")),
    ("a parameter of an unknown type", "return good(images)", "", ", *, power: 'Power' = 2", refused("plug.py", "Power")),  # noqa: E501
    ("no parameters at all", "return good(images)", "", ", extra", Outcome((FAILED, 2), ("mine|extra",))),
    ("seeds", "return torch.stack([torch.rand(7, 7, generator=torch.Generator().manual_seed(int(s) % 2**31)) "
     "for s in seeds])", "", ", *, seeds", fine("mine")),
):  # fmt: skip
    explainers.add(f"facts: {name}", with_mine, outcome, make=an_explainer(body, facts, parameters),
                   check=has_row("gradient") if 2 not in outcome.exits else None)  # fmt: skip
count = "mine.calls = getattr(mine, 'calls', 0) + 1\n"
for name, body, metrics_, outcome, check in (
    ("raises in the timing alone", count + "if mine.calls > 2: raise ValueError('tired')\nreturn good(images)", "AD,T",
     failed("mine", "tired"), has_row("gradient")),
    ("exits in the timing alone", count + "if mine.calls > 2: sys.exit(5)\nreturn good(images)", "AD,T",
     failed("mine"), has_row("gradient")),
    ("returns garbage in the timing alone", count + "return good(images) if mine.calls < 3 else None", "AD,T",
     failed("mine"), has_row("gradient")),
    ("changes a weight in the timing", count + "if mine.calls > 2: classifier._net.fc.weight.data.mul_(2)\n"
     "return good(images)", "AD,T", Outcome((0, FAILED), ("mine",)), has_row("gradient")),
    ("raises, and only the time is asked", "raise ValueError('never')", "T", failed("mine", "never"), None),
    ("works, and only the time is asked", "return good(images)", "T", fine("mine"), None),
):  # fmt: skip
    explainers.add(name, command("--plugin", "plug.py", "--methods", "mine,gradient", "--metrics", metrics_), outcome,
                   make=an_explainer(body), check=check)  # fmt: skip

own = command("--plugin", "plug.py", "--metrics", "AD,MINE")
for name, make in (
    ("raises", a_metric("raise RuntimeError('the metric broke')")),
    ("exits", a_metric("sys.exit(3)")),
    ("raises KeyboardInterrupt", a_metric("raise KeyboardInterrupt")),
    ("returns nothing", a_metric("return None")),
    ("returns a text", a_metric("return 'high'")),
    ("returns a map", a_metric("return case.map")),
    ("returns a list", a_metric("return [1, 2]")),
    ("raises in a score", a_metric("raise ValueError('broke')", "score", "derive=probe")),
    ("its probe raises", a_metric("return 1.0", "score", "derive=probe", "raise ValueError('broke')\nyield")),
    ("its probe yields grey images", a_metric("return 1.0", "score", "derive=probe", "yield case.image[None, :1]")),
    ("its probe yields another size",
     a_metric("return 1.0", "score", "derive=probe", "yield case.image[None, :, ::2]")),
    ("its probe yields a number", a_metric("return 1.0", "score", "derive=probe", "yield 3")),
    ("its probe yields no batch axis", a_metric("return 1.0", "score", "derive=probe", "yield case.image")),
    ("raises when it explains again", a_metric("raise ValueError('broke')", "re-explain")),
    ("explains another image", a_metric("return float(explain(case.image[None, :, ::2])[0].mean())", "re-explain")),
    ("changes the map", a_metric("case.map.zero_()\nreturn 1.0")),
    ("changes the image", a_metric("case.image.zero_()\nreturn 1.0")),
    ("changes the net", a_metric("classifier._net.fc.weight.data.zero_()\nreturn 1.0", "re-explain")),
    ("its pool raises", a_metric("return Value(1.0, torch.ones(3))", facts="pool=lambda v: 1 / 0")),
):  # fmt: skip
    metrics.add(name, own, Outcome((0, FAILED), ("MINE",)), make=make, check=all_of(has_row("gradient"),
                lambda folder: has_number(folder, "AD")))  # fmt: skip
for name, make, outcome in (
    ("returns NaN", a_metric("return float('nan')"), said("MINE")),
    ("returns infinity", a_metric("return float('inf')"), said("MINE")),
    ("returns huge numbers", a_metric("return 1e300"), fine("MINE")),
    ("returns yes or no", a_metric("return True"), fine("MINE")),
    ("returns a tensor", a_metric("return case.map.mean()"), fine("MINE")),
    ("NaN for one image", a_metric("return float('nan') if case.image.mean() > 0.5 else 1.0"), fine("MINE")),
    ("a kind that is unknown", having(text("plug.py",
     "from cambench import metric\n@metric('MINE', kind='magic', better='higher', title='x', paper='x')\n"
     "def mine(case):\n    return 1.0\n")), Outcome((FAILED, 2, 0), ("magic|MINE",))),
    ("a score without a probe", a_metric("return 1.0", "score"), Outcome((FAILED, 2, 0), ("MINE",))),
    ("the name of another metric", having(text("plug.py", "from cambench import metric\n@metric('AD', kind='map', "
     "better='higher', title='x', paper='x')\ndef mine(case):\n    return 1.0\n")), refused("AD", "twice|taken")),
    ("a name with a comma", having(text("plug.py", "from cambench import metric\n@metric('A,B', kind='map', "
     "better='higher', title='x', paper='x')\ndef mine(case):\n    return 1.0\n")), refused("A,B")),
    ("the name of a column of ours", having(text("plug.py", "from cambench import metric\n@metric('MINE', kind='map', "
     "better='sideways', title='x', paper='x')\ndef mine(case):\n    return 1.0\n")), Outcome((FAILED, 2, 0),
     ("sideways|MINE",))),
):  # fmt: skip
    metrics.add(name, own, outcome, make=make)


def has_number(folder: Path, column: str) -> None:
    found = float(table(folder).loc["gradient", column])
    assert found == found, f"{column} has no value"


for name, code, argv, outcome in (
    ("a file that is empty", "", ("--plugin", "plug.py"), fine()),
    ("a file with a syntax error", "def (", ("--plugin", "plug.py"), refused("plug.py", "SyntaxError")),
    ("a file that raises", "1 / 0", ("--plugin", "plug.py"), refused("plug.py", "ZeroDivision")),
    ("a file that exits", "raise SystemExit(0)", ("--plugin", "plug.py"), refused("plug.py", "SystemExit")),
    ("a file that interrupts", "raise KeyboardInterrupt", ("--plugin", "plug.py"), refused("plug.py", "Keyboard")),
    ("a file that needs a package", "import nosuchpackage", ("--plugin", "plug.py"), refused("plug.py", "nosuchpackage")),  # noqa: E501
    ("a file with another ending", "", ("--plugin", "plug.txt"), refused("plug.txt", "py")),
    ("the same file twice", EXPLAINER.format(facts="", parameters="", body="    return good(images)"),
     ("--plugin", "plug.py", "--plugin", "./plug.py", "--methods", "mine"), fine("mine")),
    ("a list with a plug-in that fails", "1 / 0", ("--plugin", "plug.py", "--list"), refused("plug.py")),
    ("a name that is taken", "from cambench import explainer\n@explainer('grad-cam', paper='x')\ndef mine(c, i, t):\n"
     "    return i.mean(1)\n", ("--plugin", "plug.py"), refused("grad-cam", "twice|rename")),
    ("a name with spaces", "from cambench import explainer\n@explainer('my cam', paper='x')\ndef mine(c, i, t):\n"
     "    return i.mean(1)\n", ("--plugin", "plug.py"), refused("my cam")),
    ("an empty name", "from cambench import explainer\n@explainer('', paper='x')\ndef mine(c, i, t):\n"
     "    return i.mean(1)\n", ("--plugin", "plug.py"), refused("name")),
    ("a decorator without a name", "from cambench import explainer\n@explainer\ndef mine(c, i, t):\n"
     "    return i.mean(1)\n", ("--plugin", "plug.py"), refused("plug.py")),
    ("a name that is no text", "from cambench import explainer\n@explainer(7, paper='x')\ndef mine(c, i, t):\n"
     "    return i.mean(1)\n", ("--plugin", "plug.py"), refused("plug.py|name")),
    ("a class for a function", "from cambench import explainer\n@explainer('mine', paper='x')\nclass Mine:\n"
     "    def __init__(self, c, i, t): pass\n", ("--plugin", "plug.py", "--methods", "mine"),
     Outcome((FAILED, 2), ("mine|Mine",))),
    ("a data set that raises", "from cambench import dataset\n@dataset('mine')\ndef mine(root, boxes):\n    1 / 0\n",
     ("--plugin", "plug.py", "--data", "mine"), refused("mine", "ZeroDivision")),
    ("a data set that exits", "from cambench import dataset\n@dataset('mine')\ndef mine(root, boxes):\n    exit(3)\n",
     ("--plugin", "plug.py", "--data", "mine"), refused("mine")),
    ("a data set that returns nothing", "from cambench import dataset\n@dataset('mine')\ndef mine(root, boxes): pass\n",
     ("--plugin", "plug.py", "--data", "mine"), refused("mine")),
    ("a data set without images", "from cambench import Dataset, dataset\n@dataset('mine')\ndef mine(root, boxes):\n"
     "    return Dataset('mine', ())\n", ("--plugin", "plug.py", "--data", "mine"), refused("mine", "image")),
    ("a data set with an id twice", "from cambench import Dataset, Sample, dataset\n@dataset('mine')\ndef mine(root, "
     "boxes):\n    return Dataset('mine', (Sample('a', root / 'cat/0.png'), Sample('a', root / 'cat/1.png')))\n",
     ("--plugin", "plug.py", "--data", "mine"), refused("mine", "'a'")),
    ("a data set of missing files", "from cambench import Dataset, Sample, dataset\n@dataset('mine')\ndef mine(root, "
     "boxes):\n    return Dataset('mine', (Sample('a', root / 'nowhere.png'),))\n",
     ("--plugin", "plug.py", "--data", "mine"), refused("mine", "readable|found")),
    ("a data set with a negative label", "from cambench import Dataset, Sample, dataset\n@dataset('mine')\ndef mine("
     "root, boxes):\n    return Dataset('mine', (Sample('a', root / 'cat/0.png', -1),))\n",
     ("--plugin", "plug.py", "--data", "mine", "--target", "true"), refused("mine", "label|-1")),
    ("a data set with a label of text", "from cambench import Dataset, Sample, dataset\n@dataset('mine')\ndef mine("
     "root, boxes):\n    return Dataset('mine', (Sample('a', root / 'cat/0.png', 'cat'),))\n",
     ("--plugin", "plug.py", "--data", "mine"), refused("mine|label", "label|cat")),
    ("a data set with a path of text", "from cambench import Dataset, Sample, dataset\n@dataset('mine')\ndef mine("
     "root, boxes):\n    return Dataset('mine', (Sample('a', str(root / 'cat/0.png')),))\n",
     ("--plugin", "plug.py", "--data", "mine"), Outcome((0, 2))),
    ("a data set without arguments", "from cambench import dataset\n@dataset('mine')\ndef mine(): pass\n",
     ("--plugin", "plug.py", "--data", "mine"), refused("mine")),
    ("a network that raises", "from cambench import classifier\n@classifier('mine')\ndef mine():\n    1 / 0\n",
     ("--plugin", "plug.py", "--model", "mine"), refused("mine", "ZeroDivision")),
    ("a network that exits", "from cambench import classifier\n@classifier('mine')\ndef mine():\n    exit(3)\n",
     ("--plugin", "plug.py", "--model", "mine"), refused("mine")),
    ("a network that is none", "from cambench import classifier\n@classifier('mine')\ndef mine(): return 7\n",
     ("--plugin", "plug.py", "--model", "mine"), refused("mine", "Module|int")),
    ("a network with an unknown fact", "from cambench import classifier\n@classifier('mine', colour=3)\ndef mine():\n"
     "    return 7\n", ("--plugin", "plug.py"), refused("plug.py", "colour")),
    ("a network with a bad fact", "from cambench import classifier\nfrom net import Net\n@classifier('mine', "
     "input_size='big')\ndef mine():\n    return Net()\n", ("--plugin", "plug.py", "--model", "mine"),
     refused("input_size")),
    ("a network with good facts", "from cambench import classifier\nfrom net import Net\n@classifier('mine', "
     "input_size=32)\ndef mine():\n    return Net()\n", ("--plugin", "plug.py", "--model", "mine"), fine()),
):  # fmt: skip
    others.add(name, command(*argv), outcome, make=having(text("plug.py", code), text("plug.txt", code)))

first = "return good(images)"
second = EXPLAINER.format(facts="", parameters="", body="    return -good(images)")


def edited(folder: Path) -> None:
    before, after = (float(table(folder, out).loc["mine", "AD"]) for out in ("before", "out"))
    assert abs(before - after) > 1e-3, "the edited plug-in kept its scores"


def keep_table(folder: Path) -> None:
    (folder / "before").mkdir()
    (folder / "before/leaderboard.csv").write_bytes((folder / "out/leaderboard.csv").read_bytes())


explainers.add("edited between two runs", with_mine, fine(), make=an_explainer(first), check=edited, then=[
    keep_table, text("plug.py", second), Step(tuple(with_mine), fine())])  # fmt: skip
explainers.add("edited in a neighbour that it imports", with_mine, fine(), check=edited, make=having(
    text("plug.py", EXPLAINER.format(facts="", parameters="", body="    import near\n    return near.sign * "
         "good(images)")), text("near.py", "sign = 1\n")), then=[
    keep_table, text("near.py", "sign = -1\n"), Step(tuple(with_mine), fine())])  # fmt: skip
changes_photo = "import pathlib\nfor file in pathlib.Path('photos/dog').glob('*.png'): file.{}"
for name, action in (("deletes images in mid-run", "unlink(missing_ok=True)"),
                     ("replaces images in mid-run", "write_bytes(pathlib.Path('photos/cat/0.png').read_bytes())"),
                     ("breaks images in mid-run", "write_bytes(b'x')")):  # fmt: skip
    explainers.add(name, [*with_mine, "--batch-size", "2"], Outcome((0, FAILED, 2), ("image|photos|dog",)),
                   make=an_explainer(changes_photo.format(action) + "\nreturn good(images)"))  # fmt: skip
explainers.add("one works, one fails, one skips", command("--plugin", "plug.py", "--plugin", "bad.py", "--methods",
               "mine,bad,gradient", controls=True), failed("bad"), check=all_of(has_row("mine"), has_row("bad", "failed"),  # noqa: E501
               has_row("fake-cam"), images(6)), make=having(
    text("plug.py", EXPLAINER.format(facts="", parameters="", body="    return good(images)")),
    text("bad.py", EXPLAINER.format(facts="", parameters="", body="    1 / 0").replace('"mine"', '"bad"'))))  # fmt: skip  # noqa: E501

NAN_NET = """

class Standardised(Net):
    \"\"\"Standardises every image by itself: a constant image has no standard deviation.\"\"\"

    def forward(self, x):
        x = (x - x.mean((1, 2, 3), keepdim=True)) / x.std((1, 2, 3), keepdim=True)
        return self.fc(self.f(x).mean((2, 3)))
"""
BLANKS = """
import torch
from cambench import explainer

@explainer("half-dead", paper="none")
def half_dead(classifier, images, targets):
    dead = (images.flatten(1).mean(1) * 1e4).long() % 2 == 0
    return torch.where(dead[:, None, None], torch.zeros_like(images[:, 0]), images.mean(1))

@explainer("alive", paper="none")
def alive(classifier, images, targets):
    return images.mean(1)
"""


def no_reward(folder: Path) -> None:
    """Blank maps, for which the net has no answer, must not win."""
    from tests.campaign.inputs import stored

    rows = stored(folder)
    dead = rows[(rows.method == "half-dead") & (rows.degenerate != "")]
    assert len(dead), "no map is blank"
    assert dead.AD.isna().all(), f"blank maps have AD {dead.AD.tolist()}"


metrics.add("an answer that is not finite has no value", command("--model", "net.py:Standardised", "--plugin", "plug.py",  # noqa: E501
            "--methods", "half-dead,alive", "--metrics", "AD,AI,I"), fine("finite|NaN|no answer|no value"),
            make=having(text("plug.py", BLANKS), net=NAN_NET), check=no_reward)  # fmt: skip
metrics.add("no answer for a black image is said", command("--model", "net.py:Standardised", "--metrics", "AD,I,D"),
            fine("D.*(finite|NaN|no answer|no value)"), make=having(net=NAN_NET))  # fmt: skip
