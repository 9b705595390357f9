"""Object boxes: tables and VOC files that are malformed, of other images, in other units."""

from tests.campaign.case import Group, fine, refused, said
from tests.campaign.inputs import command, has_row, having, text

boxes = Group("object boxes")
GROUPS = [boxes]

HEAD = "image,x0,y0,x1,y1\n"
VOC = ("<annotation><object><name>x</name><bndbox><xmin>{}</xmin><ymin>2</ymin><xmax>30</xmax><ymax>20</ymax></bndbox>"
       "</object></annotation>")  # fmt: skip

for name, content, outcome in (
    ("good", HEAD + "cat/0,1,2,30,20\ndog/1,1,2,30,20\n", fine()),
    ("two boxes of an image", HEAD + "cat/0,1,2,30,20\ncat/0,5,5,10,10\n", fine()),
    ("with file endings", HEAD + "cat/0.png,1,2,30,20\n", fine()),
    ("with further columns", "image,class,x0,y0,x1,y1\ncat/0,cat,1,2,30,20\n", fine()),
    ("with spaces after commas", "image, x0, y0, x1, y1\ncat/0, 1, 2, 30, 20\n", fine()),
    ("with Windows' line ends and a mark", "\ufeff" + HEAD.replace("\n", "\r\n") + "cat/0,1,2,30,20\r\n", fine()),
    ("fractions of pixels", HEAD + "cat/0,1.5,2.25,30.75,20.5\n", fine()),
    ("partly outside", HEAD + "cat/0,-10,-10,30,20\n", fine()),
    ("of one pixel", HEAD + "cat/0,20,20,21,21\n", fine()),
    ("the whole image", HEAD + "cat/0,0,0,40,36\n", fine()),
    ("outside the crop", HEAD + "cat/0,0,0,1,36\n", said("")),
    ("empty file", "", refused("boxes.csv", "image|column|empty")),
    ("header alone", HEAD, refused("boxes|EP")),
    ("no header", "cat/0,1,2,30,20\n", refused("boxes.csv", "column")),
    ("a column missing", "image,x0,y0,x1\ncat/0,1,2,30\n", refused("boxes.csv", "y1")),
    ("semicolons", HEAD.replace(",", ";") + "cat/0;1;2;30;20\n", refused("boxes.csv", "column")),
    ("tabs", HEAD.replace(",", "\t") + "cat/0\t1\t2\t30\t20\n", refused("boxes.csv", "column")),
    ("x, y, width, height", "image,x,y,w,h\ncat/0,1,2,29,18\n", refused("boxes.csv", "x0")),
    ("an unknown image", HEAD + "cat/00,1,2,30,20\n", refused("cat/00", "line 2", "did you mean|known")),
    ("an empty image name", HEAD + ",1,2,30,20\n", refused("line 2", "image")),
    ("a word for a number", HEAD + "cat/0,left,2,30,20\n", refused("cat/0", "line 2", "number")),
    ("a number missing", HEAD + "cat/0,1,2,30\n", refused("cat/0", "line 2", "number")),
    ("an empty number", HEAD + "cat/0,1,,30,20\n", refused("cat/0", "line 2", "number")),
    ("a field too many", HEAD + "cat/0,1,2,30,20,99\n", said("")),
    ("inverted", HEAD + "cat/0,30,2,1,20\n", refused("cat/0", "inverted")),
    ("of no width", HEAD + "cat/0,5,2,5,20\n", refused("cat/0", "inverted|empty")),
    ("infinite", HEAD + "cat/0,1,2,inf,20\n", refused("cat/0", "inverted|finite|empty")),
    ("not a number", HEAD + "cat/0,nan,2,30,20\n", refused("cat/0", "inverted|finite|empty|number")),
    ("wholly outside", HEAD + "cat/0,100,100,120,120\n", refused("cat/0", "outside")),
    ("beyond all sizes", HEAD + "cat/0,1e300,2,2e300,20\n", refused("cat/0", "outside")),
    ("in 0 … 1", HEAD + "cat/0,0.1,0.2,0.8,0.9\ndog/0,0.0,0.0,1.0,1.0\n", refused("normali[sz]ed|0 … 1|\\[0, 1\\]")),
    ("commas as decimal points", HEAD + 'cat/0,"1,5",2,30,20\n', refused("cat/0", "number")),
    ("an open quote", HEAD + '"cat/0,1,2,30,20\n', refused("boxes.csv|image")),
    ("a line with a null byte", HEAD + "cat/0\0,1,2,30,20\n", refused("boxes.csv|line 2|image")),
):
    boxes.add(name, command("--boxes", "boxes.csv", "--metrics", "EP,LE"), outcome,
              make=having(text("boxes.csv", content)))  # fmt: skip
boxes.add("in another encoding", command("--boxes", "boxes.csv"), refused("boxes.csv", "UTF-8|encod"),
          make=having(text("boxes.csv", HEAD.encode() + b"caf\xe9,1,2,3,4\n")))  # fmt: skip
boxes.add("in UTF-16", command("--boxes", "boxes.csv"), refused("boxes.csv", "UTF-8|encod|column"),
          make=having(text("boxes.csv", HEAD.encode("utf-16"))))  # fmt: skip
boxes.add("a picture", command("--boxes", "photos/cat/0.png"), refused("0.png"), make=having())
boxes.add("a folder without box files", command("--boxes", "photos"), refused("photos", "xml|box"), make=having())
for name, content, outcome in (
    ("VOC: good", VOC.format(1), fine()),
    ("VOC: cut short", "<annotation><obj", refused("0.xml", "XML")),
    ("VOC: no object", "<annotation></annotation>", refused("boxes|box")),
    ("VOC: a word for a number", VOC.format("one"), refused("number", "0.xml|0")),
    ("VOC: inverted", VOC.format(99), refused("inverted")),
    ("VOC: no box in the object", "<annotation><object><name>x</name></object></annotation>", refused("number|box")),
    ("VOC: a text", "hello", refused("0.xml", "XML")),
    ("VOC: in 0 … 1", VOC.format("0.1").replace(">2<", ">0.2<").replace("30", "0.8").replace("20", "0.9"),
     refused("normali[sz]ed|0 … 1|\\[0, 1\\]")),
):  # fmt: skip
    boxes.add(name, command("--boxes", "boxes", "--metrics", "EP"), outcome,
              make=having(text("boxes/cat/0.xml", content)))  # fmt: skip
boxes.add("every box metric and control", command("--boxes", "boxes.csv", "--metrics",
          "EP,EP-right,F1,LE,OM,BA,SP,SM,MaxBoxAcc,MaxBoxAccV2,BoxAcc20,AUC,PxAP", controls=True),
          said("PxAP|masks|box-oracle"), make=having(text("boxes.csv", HEAD + "cat/0,1,2,30,20\n")))  # fmt: skip
boxes.add("a column without any value says why", command("--boxes", "boxes.csv", "--metrics", "AD,EP"),
          fine("EP.*(no|box|outside|value)"), check=has_row("gradient"),
          make=having(text("boxes.csv", HEAD + "cat/0,0,0,1,36\n")))  # fmt: skip
boxes.add("boxes of images beyond the limit", command("--boxes", "boxes.csv", "--metrics", "AD,EP", "--limit", "1"),
          said(""), make=having(text("boxes.csv", HEAD + "cat/2,1,2,30,20\n")))  # fmt: skip
boxes.add("unclipped boxes and swapped axes", command("--boxes", "boxes.csv", "--metrics", "EP,LE,SP", "--protocol",
          "opticam-2024-loc+target=predicted"), fine(),
          make=having(text("boxes.csv", HEAD + "cat/0,-10,-10,30,20\n")))  # fmt: skip
