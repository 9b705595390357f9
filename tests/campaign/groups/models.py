"""Users' own networks: of every kind that is handed in, and of every kind that cannot be explained as it is."""

from tests.campaign.case import FAILED, Group, Outcome, fine, refused, said
from tests.campaign.inputs import command, has_row, having, text

nets, outputs = Group("networks"), Group("meaning of outputs")
GROUPS = [nets, outputs]

NETS = '''
import functools
import sys
from torch.nn import functional as F


def sized(net, size=32):
    net.input_size = size
    return net


class OneLogit(Net):
    def __init__(self, inside=False):
        super().__init__(1)
        self.inside = inside

    def forward(self, x):
        y = super().forward(x)
        return y.sigmoid() if self.inside else y


class Fourteen(Net):
    def __init__(self, inside=False):
        super().__init__(14)
        self.inside = inside

    def forward(self, x):
        y = super().forward(x)
        return y.sigmoid() if self.inside else y


class Ten(Net):
    def __init__(self, how="logits"):
        super().__init__(10)
        self.how = how

    def forward(self, x):
        y = super().forward(x)
        return {"logits": y, "softmax": y.softmax(1), "log": y.log_softmax(1), "percent": 100 * y.softmax(1)}[self.how]


one_logit, one_sigmoid = OneLogit, functools.partial(OneLogit, True)
fourteen, fourteen_sigmoids = Fourteen, functools.partial(Fourteen, True)
ten, softmax, log_softmax = Ten, functools.partial(Ten, "softmax"), functools.partial(Ten, "log")
percent = functools.partial(Ten, "percent")
grey, four = functools.partial(Net, 2, 1), functools.partial(Net, 2, 4)


class Changed(Net):
    """A net whose forward pass has one thing that is wrong."""

    def __init__(self, how):
        super().__init__()
        self.how = how

    def forward(self, x):
        return HOW[self.how](self, x)


def nothing(net, x):
    return None


def plain(net, x):
    return net.fc(net.f(x).mean((2, 3)))


def untraceable(net, x):
    """torch.fx cannot follow a decision that depends on the pixels."""
    return plain(net, x) if float(x.sum()) < 1e9 else plain(net, x * 0)


def late_failure(net, x):
    """Noise is answered, photographs are not."""
    if float((x[..., 1:] - x[..., :-1]).abs().mean()) < 0.06:
        raise RuntimeError("the net gave up")
    return plain(net, x)


def fails(net, x):
    raise RuntimeError("the net\\nbroke on two lines")


def exits(net, x):
    sys.exit(7)


def interrupts(net, x):
    raise KeyboardInterrupt


def squeezed(net, x):
    return net.fc(F.adaptive_avg_pool2d(net.f(x), 1).squeeze())


def one_at_a_time(net, x):
    if len(x) > 1:
        raise RuntimeError("this net takes one image at a time")
    return plain(net, x)


def numpy_inside(net, x):
    return torch.from_numpy(plain(net, x).detach().numpy())


def whole_numbers(net, x):
    return plain(net, x).long()


def all_nan(net, x):
    return plain(net, x) * float("nan")


def all_same(net, x):
    return plain(net, x) * 0


def blind(net, x):
    net.f(x)
    return net.fc(x.mean((2, 3)).repeat(1, 3)[:, :8])


HOW = {
    "nothing": nothing, "late_failure": late_failure, "fails": fails, "exits": exits, "interrupts": interrupts,
    "squeezed": squeezed, "one_at_a_time": one_at_a_time, "numpy_inside": numpy_inside,
    "whole_numbers": whole_numbers, "all_nan": all_nan, "all_same": all_same, "blind": blind,
    "tuple": lambda net, x: (plain(net, x), x), "dict": lambda net, x: {"logits": plain(net, x)},
    "list": lambda net, x: [plain(net, x)], "dense": lambda net, x: net.f(x),
    "tokens": lambda net, x: plain(net, x)[:, None],
    "flat": lambda net, x: plain(net, x).flatten(), "complex": lambda net, x: plain(net, x).to(torch.complex64),
    "no_classes": lambda net, x: plain(net, x)[:, :0],
    "no_grad": torch.no_grad()(untraceable), "inference": torch.inference_mode()(untraceable),
    "no_grad_traced": torch.no_grad()(plain), "untraceable": untraceable,
    "detached": lambda net, x: net.fc(net.f(x).detach().mean((2, 3))),
    "dropout": lambda net, x: net.fc(F.dropout(net.f(x).mean((2, 3)), 0.5)),
    "noise": lambda net, x: plain(net, x + torch.randn_like(x)),
    "batch_mean": lambda net, x: plain(net, x - x.mean()),
    "infinite": lambda net, x: plain(net, x) / 0,
    "changes_input": lambda net, x: plain(net, x.mul_(0.5)),
}
for name in HOW:
    globals()["net_" + name] = functools.partial(Changed, name)


def batch_norm():
    net = Net()
    net.f = nn.Sequential(nn.Conv2d(3, 8, 5, 2, 2), nn.BatchNorm2d(8, track_running_stats=False), nn.ReLU())
    return net


class Locked(Net):
    def __init__(self):
        super().__init__()
        self.f = nn.Sequential(nn.Conv2d(3, 8, 5, 2, 2), nn.BatchNorm2d(8), nn.ReLU())

    def train(self, mode=True):
        return super().train(True)


class Counting(Net):
    def __init__(self):
        super().__init__()
        self.register_buffer("seen", torch.zeros(1))

    def forward(self, x):
        self.seen += 1
        return super().forward(x)


locked, counting = Locked, Counting


def scripted():
    return torch.jit.script(nn.Sequential(body(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 2)).eval())


def traced():
    return sized(torch.jit.trace(Net().eval(), torch.rand(1, 3, 32, 32)))


def quantised():
    return sized(torch.ao.quantization.quantize_dynamic(Net().eval(), {nn.Linear}))


def lazy():
    return sized(nn.Sequential(nn.LazyConv2d(8, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.LazyLinear(2)))


def half():
    return sized(Net().half())


def double():
    return sized(Net().double())


def bfloat16():
    return sized(Net().bfloat16())


def compiled():
    return sized(torch.compile(Net(), backend="eager"))


def parallel():
    return sized(nn.DataParallel(Net()))


def frozen():
    return Net().requires_grad_(False)


def training():
    return Net().train()


def checkpointed():
    from torch.utils.checkpoint import checkpoint

    class Checkpointed(Net):
        def forward(self, x):
            return self.fc(checkpoint(self.f, x, use_reentrant=False).mean((2, 3)))

    return Checkpointed()


def meta():
    with torch.device("meta"):
        return Net()


def nan_weights():
    net = Net()
    net.fc.weight.data.fill_(float("nan"))
    return net


def mlp():
    return sized(nn.Sequential(nn.Flatten(), nn.Linear(3 * 32 * 32, 8), nn.ReLU(), nn.Linear(8, 2)))


def no_parameters():
    return sized(nn.Sequential(nn.AvgPool2d(8), nn.Flatten()))


def hooked():
    net = Net()
    net.f.register_forward_hook(lambda module, inputs, output: output * 2)
    return net


def wrong_size():
    return sized(nn.Sequential(body(), nn.Flatten(), nn.Linear(8 * 64, 2)), 64)


def no_size():
    net = Net()
    del net.input_size
    return net


def one_class_map():
    return sized(nn.Sequential(nn.Conv2d(3, 4, 32), nn.ReLU(), nn.Flatten(), nn.Linear(4, 2)))


def with_argument(classes):
    return Net(classes)


def raises():
    raise FileNotFoundError("weights.pth")


def leaves():
    raise SystemExit("no licence")


def a_dictionary():
    return Net().state_dict()


def the_class_itself():
    return Net


a_number = 7
an_instance = Net()
'''
usual = having(net=NETS)

for name, builder, outcome in (
    ("one channel", "grey", fine("gr[ea]y|1 ×|channel")),
    ("four channels", "four", refused("channel|4|wrap")),
    ("a net and not a function", "an_instance", fine()),
    ("a class that builds", "Net", fine()),
    ("an argument without a default", "with_argument", refused("with_argument", "argument")),
    ("the builder raises", "raises", refused("raises", "weights.pth")),
    ("the builder exits", "leaves", refused("leaves", "no licence")),
    ("the builder gives a dictionary", "a_dictionary", refused("a_dictionary", "Module")),
    ("the builder gives a class", "the_class_itself", refused("the_class_itself", "Module")),
    ("a number", "a_number", refused("a_number", "int")),
    ("returns nothing", "net_nothing", refused("None", "logits|tensor")),
    ("returns a tuple", "net_tuple", refused("tuple", "logits|tensor")),
    ("returns a dictionary", "net_dict", refused("dict", "logits|tensor")),
    ("returns a list", "net_list", refused("list", "logits|tensor")),
    ("returns maps", "net_dense", refused("logits")),
    ("returns a token axis", "net_tokens", refused("logits")),
    ("returns a flat tensor", "net_flat", refused("logits|squeeze|flatten")),
    ("returns whole numbers", "net_whole_numbers", refused("int64|logits|float")),
    ("returns complex numbers", "net_complex", refused("complex|logits")),
    ("returns no class", "net_no_classes", refused("logits|classes|0")),
    ("fails on every image", "net_fails", refused("the net broke on two lines")),
    ("exits when it is asked", "net_exits", refused("SystemExit|exit")),
    ("raises KeyboardInterrupt", "net_interrupts", refused("KeyboardInterrupt")),
    ("fails after a while", "net_late_failure", Outcome((FAILED, 2), ("the net gave up",))),
    ("squeezes the batch away", "net_squeezed", refused("squeeze|batch", silent=["--layer"])),
    ("takes one image at a time", "net_one_at_a_time", refused("one image|batch")),
    ("goes through NumPy", "net_numpy_inside", Outcome((FAILED, 2), ("grad|detach|numpy",), ("--layer",))),
    ("no_grad inside", "net_no_grad", refused("grad", silent=["--layer"])),
    ("no_grad that torch.fx sees through", "net_no_grad_traced", said("")),
    ("a decision by the pixels", "net_untraceable", fine()),
    ("inference mode inside", "net_inference", refused("grad|inference", silent=["--layer"])),
    ("a detached trunk", "net_detached", Outcome((FAILED, 2), ("grad|detach",), ("--layer",))),
    ("dropout that stays on", "net_dropout", refused("dropout|random", silent=["--layer"])),
    ("noise on the image", "net_noise", refused("random|twice")),
    ("a mean over the batch", "net_batch_mean", refused("batch")),
    ("batch norm without statistics", "batch_norm", refused("batch")),
    ("eval() that does not take", "locked", refused("train|eval|buffer")),
    ("a buffer that counts", "counting", refused("buffer", "seen")),
    ("changes its input in place", "net_changes_input", said("")),
    ("answers NaN only", "net_all_nan", refused("finite|NaN")),
    ("answers infinity only", "net_infinite", refused("finite|inf")),
    ("weights that are NaN", "nan_weights", refused("finite|NaN")),
    ("answers the same for all", "net_all_same", said("layer|depend|constant|same")),
    ("a head that ignores the trunk", "net_blind", refused("depend|layer")),
    ("TorchScript", "scripted", refused("TorchScript|script")),
    ("traced by torch.jit", "traced", refused("TorchScript|trace", silent=["name one with --layer"])),
    ("quantised", "quantised", refused("quanti[sz]ed")),
    ("lazy layers", "lazy", refused("lazy|uninitiali[sz]ed")),
    ("on the meta device", "meta", refused("meta|weights")),
    ("half precision", "half", fine()),
    ("double precision", "double", fine()),
    ("bfloat16", "bfloat16", fine()),
    ("compiled", "compiled", fine()),
    ("DataParallel", "parallel", fine()),
    ("frozen", "frozen", fine()),
    ("handed in in training mode", "training", fine()),
    ("checkpointed", "checkpointed", fine()),
    ("a perceptron without maps", "mlp", refused("map")),
    ("no parameters", "no_parameters", refused("parameter|linear|convolution|logits|layer")),
    ("hooks of its own", "hooked", fine()),
    ("another input size than stated", "wrong_size", refused("size|shape")),
    ("maps of 1 x 1 alone", "one_class_map", refused("map")),
    ("no size stated", "no_size", fine("224")),
):  # fmt: skip
    nets.add(name, command("--model", f"net.py:{builder}"), outcome, make=usual)

for name, source, outcome in (
    ("a file with a syntax error", "def build(:\n", refused("net.py", "SyntaxError")),
    ("a file that raises", "raise ValueError('two\\nlines')", refused("net.py", "two lines")),
    ("a file that exits", "import sys; sys.exit(3)", refused("net.py", "exit")),
    ("a file that interrupts", "raise KeyboardInterrupt", refused("net.py", "KeyboardInterrupt")),
    ("a file that imports what is missing", "import nosuchpackage", refused("nosuchpackage")),
    ("a file that imports relatively", "from . import blocks", refused("relative import")),
    ("a file that is empty", "", refused("build")),
    ("a file in another encoding", b"x = 'caf\xe9'\n", refused("net.py", "encod|utf-8|unicode|SyntaxError")),
    ("a file with null bytes", b"x = 1\0\n", refused("net.py", "null")),
    ("a file that recurses", "def build():\n    return build()\n", refused("build", "recursion")),
    ("a file that runs out of memory", "def build():\n    raise MemoryError\n", refused("build", "memory")),
    ("a file that forbids gradients",
     None, said("")),
):  # fmt: skip
    content = having(net="\ntorch.set_grad_enabled(False)\n") if source is None else having(text("net.py", source))
    nets.add(name, command(), outcome, make=content)

for name, make, argv in (
    ("imports its neighbour", having(
        text("proj/blocks.py", "from torch import nn\n\n\ndef head():\n    return nn.Linear(8, 2)\n"),
        text("proj/mynet.py", "import blocks\nfrom net_ import Net\n\n\ndef build():\n    net = Net()\n    "
             "net.fc = blocks.head()\n    return net\n"),
        lambda folder: (folder / "proj/net_.py").write_text((folder / "net.py").read_text())), "proj/mynet.py:build"),
    ("imports a package beside it", having(
        text("proj/parts/__init__.py", "SIZE = 32\n"),
        text("proj/mynet.py", "from parts import SIZE\nfrom net_ import Net\nbuild = Net\n"),
        lambda folder: (folder / "proj/net_.py").write_text((folder / "net.py").read_text())), "proj/mynet.py:build"),
    ("a path with spaces", having(
        lambda folder: (folder / "my nets").mkdir(),
        lambda folder: (folder / "net.py").rename(folder / "my nets" / "the net.py")), "my nets/the net.py:build"),
    ("a path with a colon", having(
        lambda folder: (folder / "a:b").mkdir(),
        lambda folder: (folder / "net.py").rename(folder / "a:b" / "net.py")), "a:b/net.py:build"),
    ("a file name with a hyphen", having(
        lambda folder: (folder / "net.py").rename(folder / "my-net.py")), "my-net.py:build"),
):  # fmt: skip
    nets.add(name, command("--model", argv), fine(), make=make, check=has_row("gradient"))

for name, builder, argv, outcome in (
    ("one logit", "one_logit", (), refused("one (number|logit)|single|1 logit", "binary|sigmoid|output")),
    ("one logit stated", "one_logit", ("--output", "binary"), fine("binary")),
    ("one logit stated as logits", "one_logit", ("--output", "logits"), refused("binary|one")),
    ("one logit stated as many", "one_logit", ("--output", "multi-label"), refused("binary|one")),
    ("one sigmoid", "one_sigmoid", (), refused("probabilit|output")),
    ("one sigmoid stated", "one_sigmoid", ("--output", "probabilities"), fine("probabilities")),
    ("fourteen labels stated", "fourteen", ("--output", "multi-label"), fine("multi-label")),
    ("fourteen sigmoids stated", "fourteen_sigmoids", ("--output", "probabilities"), fine("probabilities")),
    ("fourteen sigmoids", "fourteen_sigmoids", (), said("probabilit|\\[0, 1\\]|output")),
    ("softmax inside", "softmax", (), said("sum to 1|probabilit", "output")),
    ("softmax inside stated", "softmax", ("--output", "probabilities"), fine("probabilities")),
    ("softmax inside stated as one logit", "softmax", ("--output", "binary"), refused("binary")),
    ("percentages as probabilities", "percent", ("--output", "probabilities"), refused("probabilities")),
    ("log-softmax inside", "log_softmax", (), fine()),
    ("many labels and a class", "fourteen", ("--output", "multi-label", "--target", "13"), fine("13")),
    ("one logit and its other class", "one_logit", ("--output", "binary", "--target", "0"), fine()),
    ("one logit and a third class", "one_logit", ("--output", "binary", "--target", "2"), refused("2")),
    ("every method on one logit", "one_logit", ("--output", "binary", "--methods", "grad-cam,cam,layer-cam,"
     "score-cam,opti-cam(steps=2),integrated-gradients(steps=2),ablation-cam", "--metrics", "AD,AG,AI,I,D"),
     fine("grad-cam", silent=["failed"])),
    ("every method on many labels", "fourteen", ("--output", "multi-label", "--methods", "grad-cam,cam,layer-cam,"
     "score-cam,opti-cam(steps=2),integrated-gradients(steps=2),ablation-cam", "--metrics", "AD,AG,AI,I,D"),
     fine("grad-cam", silent=["failed"])),
    ("every method on probabilities", "softmax", ("--output", "probabilities", "--methods", "grad-cam,cam,layer-cam,"
     "score-cam,opti-cam(steps=2),integrated-gradients(steps=2),ablation-cam", "--metrics", "AD,AG,AI,I,D"),
     fine("grad-cam", silent=["failed"])),
):  # fmt: skip
    make = having(net=NETS, names=[f"{index}.png" for index in range(3)])
    outputs.add(name, command("--model", f"net.py:{builder}", *argv), outcome, make=make)


def same_scores(folder):
    """A softmax inside the net that is stated gives the scores of its logits."""
    from tests.campaign.inputs import table

    own, other = table(folder, "own"), table(folder, "other")
    for method in ("center", "sobel"):  # maps of the net itself follow log p in place of its logits
        for column in ("AD", "I", "D"):
            found, expected = float(other.loc[method, column]), float(own.loc[method, column])
            assert abs(found - expected) < 0.01, f"{column} of {method}: {found}, and {expected} from logits"


def scores(builder, out, *more):
    from tests.campaign.case import Step

    argv = command("--model", f"net.py:{builder}", "--methods", "center,sobel", "--metrics", "AD,I,D",
                   "--out", out, *more)  # fmt: skip
    return Step(tuple(argv), fine())


flat = having(net=NETS, names=[f"{index}.png" for index in range(3)])
for name, builder, stated in (
    ("softmax and logits score alike", "softmax", "probabilities"),
    ("log-softmax and logits score alike", "log_softmax", "logits"),
):
    second = scores(builder, "other", "--output", stated)
    outputs.add(name, second.argv, fine(), make=flat, then=[scores("ten", "own")], check=same_scores)
