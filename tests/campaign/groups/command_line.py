"""Flags that do not exist, lack their value, or have one that cannot be; methods and metrics that nobody knows."""

from tests.campaign.case import Group, fine, refused, said
from tests.campaign.inputs import command, having, text

flags, specs, metrics = Group("command line"), Group("methods and parameters"), Group("metrics")
GROUPS = [flags, specs, metrics]
usual = having()

for name, argv, outcome in (
    ("unknown flag", ["--metods", "gradient"], refused("--metods")),
    ("a word without a flag", ["photo.jpg"], refused("photo.jpg")),
    ("value missing at the end", ["--limit"], refused("--limit", "argument|value")),
    ("flag in place of a value", ["--limit", "--force"], refused("--limit", "argument|value")),
    ("limit is a word", ["--limit", "ten"], refused("--limit", "ten")),
    ("limit is a fraction", ["--limit", "2.5"], refused("--limit", "2.5")),
    ("limit 0", ["--limit", "0"], refused("--limit", "at least 1|1 ")),
    ("limit negative", ["--limit", "-3"], refused("--limit", "-3")),
    ("limit empty", ["--limit", ""], refused("--limit")),
    ("limit above the number of images", ["--limit", "100000"], fine()),
    ("skip negative", ["--skip", "-1"], refused("--skip", "-1")),
    ("skip leaves nothing", ["--skip", "6"], refused("--skip", "none|nothing|fewer")),
    ("skip is a word", ["--skip", "some"], refused("--skip", "some")),
    ("skip and limit past the end", ["--skip", "5", "--limit", "50"], fine()),
    ("seed negative", ["--seed", "-1"], refused("--seed", "-1|at least 0")),
    ("seed is a word", ["--seed", "lucky"], refused("--seed", "lucky")),
    ("seed beyond 64 bits", ["--seed", str(2**70)], said()),
    ("batch size 0", ["--batch-size", "0"], refused("--batch-size", "at least 1|1 ")),
    ("batch size negative", ["--batch-size", "-4"], refused("--batch-size", "-4")),
    ("batch size a million", ["--batch-size", "1000000"], refused("--batch-size")),
    ("batch size is a fraction", ["--batch-size", "1.5"], refused("--batch-size", "1.5")),
    ("batch size misspelt auto", ["--batch-size", "automatic"], refused("--batch-size", "automatic")),
    ("batch size above the number of images", ["--batch-size", "50"], fine()),
    ("batch size 1", ["--batch-size", "1"], fine()),
    ("device unknown", ["--device", "tpu9"], refused("--device", "cpu")),
    ("device absent", ["--device", "cuda:99"], refused("--device", "cuda:99")),
    ("device empty", ["--device", ""], refused("--device")),
    ("device without numbers", ["--device", "meta"], refused("--device", "meta")),
    ("device with a bad index", ["--device", "cuda:x"], refused("--device", "cuda:x")),
    ("dtype unknown", ["--dtype", "int8"], refused("--dtype", "int8", "float32|bfloat16")),
    ("engine unknown", ["--engine", "spark"], refused("--engine", "spark", "local|ray")),
    ("model empty", ["--model", ""], said()),
    ("model unknown", ["--model", "resnet5"], refused("resnet5", "did you mean")),
    ("model in capitals", ["--model", "ResNet50"], refused("resnet50")),
    ("model of timm unknown", ["--model", "timm:resnet_fifty"], refused("resnet_fifty", "timm|did you mean|known")),
    ("model of timm without a name", ["--model", "timm:"], refused("timm|model")),
    ("model file missing", ["--model", "nets.py:build"], refused("no such", "nets.py")),
    ("model file without a name", ["--model", "net.py"], refused("net.py", "name|FILE")),
    ("model file with an empty name", ["--model", "net.py:"], refused("net.py")),
    ("model name missing in the file", ["--model", "net.py:biuld"], refused("biuld", "did you mean 'build'")),
    ("model file is a folder", ["--model", "photos:build"], refused("photos")),
    ("model file is no Python", ["--model", "net.txt:build"], refused("net.txt")),
    ("layer unknown", ["--layer", "layer4"], refused("layer4", "known|did you mean")),
    ("layer near one", ["--layer", "f.12"], refused("f.12")),
    ("layer empty", ["--layer", "."], refused("layer", "'.'|module path")),
    ("layer without maps", ["--layer", "fc"], refused("fc", "--layer")),
    ("layer index beyond", ["--layer", "f[9]"], refused("f\\[9\\]")),
    ("layer by negative index", ["--layer", "f[-1]"], fine()),
    ("judge unknown", ["--judges", "resnet5"], refused("resnet5", "did you mean")),
    ("judge of another size", ["--judges", "net.py:big"], said()),
    ("judge of other classes", ["--judges", "net.py:three"], refused("judge", "classes")),
    ("judge on a metric without images", ["--judges", "net.py:build", "--judged", "T"], refused("T|timing", "judge")),
    ("judge on an unknown metric", ["--judges", "net.py:build", "--judged", "ADX"], refused("ADX")),
    ("judged empty", ["--judges", "net.py:build", "--judged", ""], refused("judged|metrics", "empty|no metric|known")),
    ("judge is the net itself", ["--judges", "net.py:build"], said()),
    ("judge named twice", ["--judges", "net.py:build,net.py:build"], said()),
    ("no judge", ["--judges", "none"], said()),
    ("data unknown", ["--data", "imagnet"], refused("imagnet", "did you mean 'imagenet'")),
    ("data with an unknown parameter", ["--data", "folder(split=val)"], refused("folder", "split")),
    ("data with a bad number", ["--data", "grid(n=two)"], refused("grid", "n=")),
    ("data not closed", ["--data", "voc(split=val"], refused("voc")),
    ("data root missing", ["--data-root", "photoes"], refused("photoes", "no such")),
    ("data root is a file", ["--data-root", "net.py"], refused("net.py", "folder")),
    ("boxes missing", ["--boxes", "boxes.csv"], refused("boxes.csv", "no such")),
    ("plug-in missing", ["--plugin", "plug.py"], refused("plug.py", "no such")),
    ("plug-in is a folder", ["--plugin", "photos"], refused("photos")),
    ("target unknown", ["--target", "wolf"], refused("wolf", "cat|dog|0")),
    ("target beyond the classes", ["--target", "2"], refused("2")),
    ("target negative", ["--target", "-1"], refused("-1")),
    ("target empty", ["--target", " "], refused("target")),
    ("target least", ["--target", "least"], fine("least")),
    ("target in capitals", ["--target", "True"], said()),
    ("mean of two numbers", ["--mean", "0.5,0.5"], refused("mean", "3|three")),
    ("mean of words", ["--mean", "red,green,blue"], refused("--mean")),
    ("mean on the scale of 255", ["--mean", "123.7,116.3,103.5"], refused("mean", "255")),
    ("mean not finite", ["--mean", "nan,nan,nan"], refused("mean", "finite|number|nan")),
    ("mean empty", ["--mean", ""], refused("--mean")),
    ("std 0", ["--std", "0,0,0"], refused("std", "0")),
    ("std negative", ["--std=-1,1,1"], refused("std")),
    ("std infinite", ["--std", "inf,1,1"], refused("std", "finite|number|inf")),
    ("std on the scale of 255", ["--std", "58.4,57.1,57.4"], refused("std", "255")),
    ("input size 0", ["--input-size", "0"], refused("input.size")),
    ("input size negative", ["--input-size", "-32"], refused("input.size")),
    ("input size enormous", ["--input-size", "100000"], refused("input.size")),
    ("input size of two sides", ["--input-size", "32x32"], refused("input.size")),
    ("input size too small for the net", ["--model", "net.py:pooled", "--input-size", "3"],
     refused("input_?-?size|3 × 3|image of")),
    ("output misspelt", ["--output", "logit"], refused("logit", "logits")),
    ("output of another kind of net", ["--output", "binary"], refused("binary", "2")),
    ("output probabilities for logits", ["--output", "probabilities"], refused("probabilities", "\\[0, 1\\]|logits")),
    ("classes file missing", ["--classes", "names.txt"], refused("names.txt")),
    ("classes file empty", ["--classes", "empty.txt"], refused("empty.txt|classes")),
    ("classes file too long", ["--classes", "three.txt"], refused("3", "2|logits|classes")),
    ("classes file is binary", ["--classes", "photos/cat/0.png"], refused("0.png", "classes")),
    ("classes file is a folder", ["--classes", "photos"], refused("photos", "classes")),
    ("classes file of broken JSON", ["--classes", "broken.json"], refused("broken.json", "JSON")),
    ("classes file of a number", ["--classes", "number.json"], refused("number.json|classes")),
    ("classes file with a gap", ["--classes", "gap.json"], refused("gap.json|classes")),
    ("classes file by index", ["--classes", "index.json"], fine()),
    ("stored and nothing is", ["--stored"], said("nothing")),
    ("verbose", ["-v"], fine()),
    ("a flag twice", ["--limit", "2", "--limit", "3"], fine()),
):  # fmt: skip
    flags.add(name, command(*argv), outcome, make=having(
        text("empty.txt", ""), text("three.txt", "a\nb\nc\n"), text("broken.json", "{"), text("number.json", "7"),
        text("net.txt", "def build(): pass"), text("gap.json", '{"0": "a", "2": "b"}'),
        text("index.json", '{"0": "a", "1": "b"}'),
        net="""
def big():
    net = Net()
    net.input_size = 64
    return net


def three():
    return Net(3)


class Pooled(Net):
    def forward(self, x):
        return super().forward(nn.functional.max_pool2d(x, 8))


def pooled():
    return Pooled()
"""))  # fmt: skip

flags.add("help", ["--help"], fine("--methods", "--data-root"))
flags.add("list", ["--list"], fine("grad-cam", "clean"))
flags.add("data without a root", command(without=["--data-root"]), refused("--data-root", "folder"), make=usual)
flags.add("weights of nobody", command("--weights", "resnet18=w.pth"), refused("--weights", "w.pth|net.py"), make=usual)
flags.add(
    "weights cannot be downloaded", ["--model", "resnet18", "--methods", "gradient", "--data", "folder", "--data-root",
    "photos", "--device", "cpu", "--out", "out", "--limit", "1", "--metrics", "AD"], refused("resnet18", "--weights"),
    make=usual, environment={"TORCH_HOME": "empty", "https_proxy": "http://127.0.0.1:9", "no_proxy": ""},
)  # fmt: skip

for name, method, outcome in (
    ("misspelt", "grad-camm", refused("grad-camm", "did you mean.*'grad-cam'")),
    ("in capitals", "Grad-CAM", refused("Grad-CAM", "'grad-cam'")),
    ("without hyphens", "gradcam", refused("gradcam", "grad-cam")),
    ("nothing like it", "zzz", refused("zzz", "known")),
    ("empty", "", refused("--methods")),
    ("only commas", ",,,", refused("--methods")),
    ("separated by semicolons", "grad-cam;gradient", refused("grad-cam;gradient")),
    ("separated by spaces", "grad-cam gradient", refused("grad-cam gradient")),
    ("given twice", "gradient,gradient", fine()),
    ("bracket not closed", "opti-cam(steps=2", refused("opti-cam")),
    ("bracket too many", "gradient)", refused("gradient")),
    ("empty brackets", "gradient()", fine()),
    ("a parameter where there is none", "gradient(steps=3)", refused("gradient", "steps", "none|no parameter")),
    ("unknown parameter", "opti-cam(step=3)", refused("opti-cam", "step", "steps: int")),
    ("parameter without a value", "opti-cam(steps)", refused("opti-cam", "steps")),
    ("parameter with an empty value", "opti-cam(steps=)", refused("steps", "int")),
    ("a word for a number", "opti-cam(steps=ten)", refused("steps", "ten", "int")),
    ("a fraction for a whole number", "opti-cam(steps=1.5)", refused("steps", "1.5")),
    ("a parameter twice", "opti-cam(steps=2,steps=3)", refused("steps", "twice")),
    ("a word for a choice", "opti-cam(normalisation=softmax)", refused("softmax", "min-max")),
    ("a number for yes or no", "opti-cam(early_stop=1)", refused("early_stop", "bool|true")),
    ("Opti-CAM without steps", "opti-cam(steps=0)", refused("steps", "1")),
    ("Opti-CAM with negative steps", "opti-cam(steps=-5)", refused("steps", "-5")),
    ("Opti-CAM with a rate of 0", "opti-cam(steps=2,lr=0)", refused("lr")),
    ("Opti-CAM with a rate of NaN", "opti-cam(steps=2,lr=nan)", refused("lr")),
    ("Opti-CAM from infinity", "opti-cam(steps=2,init=inf)", refused("init")),
    ("integrated gradients without steps", "integrated-gradients(steps=0)", refused("steps")),
    ("SmoothGrad without samples", "smoothgrad(samples=0)", refused("samples")),
    ("SmoothGrad with negative noise", "smoothgrad(samples=2,sigma=-1)", refused("sigma")),
    ("SmoothGrad with noise NaN", "smoothgrad(samples=2,sigma=nan)", refused("sigma")),
    ("occlusion without a window", "occlusion(window=0)", refused("window")),
    ("occlusion larger than the image", "occlusion(window=2)", refused("window")),
    ("occlusion that stands still", "occlusion(stride=0)", refused("stride")),
    ("occlusion with a stride of NaN", "occlusion(stride=nan)", refused("stride")),
    ("Score-CAM in chunks of 0", "score-cam(chunk=0)", refused("chunk")),
    ("Score-CAM in negative chunks", "score-cam(chunk=-1)", refused("chunk")),
    ("ablation-CAM in chunks of 0", "ablation-cam(chunk=0)", refused("chunk")),
    ("gamma 0", "grad-cam(gamma=0)", refused("gamma")),
    ("gamma negative", "grad-cam(gamma=-1)", refused("gamma")),
    ("gamma NaN", "grad-cam(gamma=nan)", refused("gamma")),
    ("gamma infinite", "grad-cam(gamma=inf)", refused("gamma")),
    ("decoder that is missing", "decoder(weights=none.safetensors)", refused("none.safetensors", "no such")),
    ("decoder that is a text", "decoder(weights=net.py)", refused("net.py")),
    ("decoder that is a folder", "decoder(weights=photos)", refused("photos")),
    ("decoder for another net", "decoder", fine("decoder", "skipped|no decoder|train")),
    ("the number of steps beyond reason", "opti-cam(steps=100000000000)", refused("steps")),
    ("a library's double by name", "score-cam:pytorch-grad-cam", fine()),
    ("all but misspelt", "al", refused("'al'")),
    ("a control as a method", "random,gradient", fine()),
):
    specs.add(name, command("--methods", method), outcome, make=usual)

for name, text_, outcome in (
    ("misspelt", "ADD", refused("ADD", "did you mean|known")),
    ("in small letters", "ad", refused("'ad'", "AD")),
    ("empty", "", refused("--metrics", "empty|known")),
    ("only commas", ",", refused("--metrics")),
    ("separated by semicolons", "AD;AG", refused("AD;AG")),
    ("given twice", "AD,AD", fine()),
    ("with parameters", "AD(steps=3)", refused("AD")),
    ("boxes needed", "AD,EP", refused("EP", "boxes", "--boxes")),
    ("boxes needed by a pooled metric", "MaxBoxAccV2", refused("MaxBoxAccV2", "boxes")),
    ("masks needed", "PxAP", refused("PxAP", "masks")),
    ("the grid's metric elsewhere", "GPG", refused("GPG", "boxes|grid")),
    ("the time alone", "T", fine()),
    ("a re-explaining metric", "MPRT1", fine()),
    ("metrics of the map alone", "AREA,SPARSE", fine()),
    ("saliency metric without boxes", "SM", refused("SM", "boxes")),
):  # fmt: skip
    metrics.add(name, command("--metrics", text_), outcome, make=usual)
