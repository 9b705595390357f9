"""BibTeX of the methods and metrics of a table, from the sources that the registries name."""

from __future__ import annotations

import re
from collections.abc import Iterable

from bench.core.explainer import EXPLAINERS
from bench.tables.content import Content

SOURCE = re.compile(r"(?P<author>[^\d,;]+?)(?: et al\.)? (?P<year>(?:19|20)\d\d)(?: \((?P<name>[^)]*)\))?")
ARXIV = re.compile(r"arXiv[: ]*(?P<id>\d{4}\.\d{4,5})")


def papers(content: Content) -> list[str]:
    """The sources of every row and column, each once, in the order of the table."""
    names = [line.method.label.partition("(")[0].partition(":")[0] for line in content.lines]
    rows = [EXPLAINERS[name].value.paper for name in names if name in EXPLAINERS]
    return list(dict.fromkeys(part.strip() for text in [*rows, *(metric.paper for metric in content.metrics)]
                              for part in text.split(";") if part.strip()))  # fmt: skip


def bibtex(sources: Iterable[str]) -> str:
    """An entry for each source that names an author and a year."""
    return "\n".join(dict.fromkeys(text for source in sources if (text := entry(source))))


def entry(source: str) -> str:
    """`Selvaraju et al. 2017 (Grad-CAM), arXiv 1610.02391` as an entry; "" where there is no author or year."""
    found = SOURCE.match(source)
    if found is None:
        return ""
    author, year, name = found["author"].strip(), found["year"], found["name"]
    key = re.sub(r"[^a-z]", "", author.lower().split("&")[0].split(" and ")[0]) + year
    others = " and others" if "et al." in source else ""
    fields = {"author": " and ".join(re.split(r"\s*&\s*| and ", author)) + others, "year": year}
    fields |= {"title": "{" + name + "}"} if name else {}
    if arxiv := ARXIV.search(source):
        fields |= {"eprint": arxiv["id"], "archivePrefix": "arXiv"}
    fields["note"] = source
    body = "".join(f"  {field} = {{{value}}},\n" for field, value in fields.items())
    return f"@misc{{{key},\n{body}}}"
