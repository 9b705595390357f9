"""The configuration of a run: one frozen value for the command line, Ray workers, paper tables and the Python API."""

from __future__ import annotations

import dataclasses
import importlib
import json
import sys
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from bench.core.errors import UsageError, suggest
from bench.core.output_name import OutputName
from bench.core.paths import user_path
from bench.core.ranges import at_least, within

DEFAULT_MODEL = "efficientnet_lite0"
DTypeName = Literal["float32", "bfloat16", "float16"]
TexStyle = Literal["paper", "compare"]
BatchSize = int | Literal["auto"]
NUMBERS = {"batch_size": within(1, 4096), "limit": at_least(1), "skip": at_least(0), "seed": within(0, 2**63 - 1)}
"""A batch is made in full even for fewer images: 4096 images of 224 × 224 are 2.5 GB before any network has seen them.
A seed is hashed for each image, and torch's generators take 63 bits."""


@dataclass(frozen=True)
class RunConfig:
    """Everything that a run can be told, under the names of the command line's flags.

    None means what the command line does without the flag: the data set's own protocol and metrics, the network's own
    facts, a GPU where there is one. Raises UsageError for a number outside its range.

    >>> RunConfig(methods="grad-cam,opti-cam(steps=50)", limit=100).limit
    100
    >>> RunConfig.from_mapping({"methods": ["grad-cam", "cam"], "batch-size": 4}).methods
    'grad-cam,cam'
    """

    model: str | None = None
    """None for the embedded EfficientNet-Lite0 and, with a paper's table, for all of its networks."""
    weights: tuple[str, ...] = ()
    """[MODEL=]FILE."""
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None
    input_size: int | None = None
    classes: Path | None = None
    output: OutputName | None = None
    judges: str | None = None
    """None for the embedded networks beside an embedded one, `none` for nobody."""
    judged: str | None = None
    """None for AD, AG and AI, as far as the run has them where nobody named the judges."""
    layer: str | None = None
    methods: str = "all"
    controls: bool = True
    maps: tuple[Path, ...] = ()
    metrics: str | None = None
    data: str | None = None
    data_root: Path | None = None
    boxes: Path | None = None
    limit: int | None = None
    skip: int = 0
    protocol: str | None = None
    target: str | None = None
    seed: int = 0
    device: str | None = None
    batch_size: BatchSize = 20
    dtype: DTypeName = "float32"
    channels_last: bool = False
    compile: bool = False
    engine: str = "local"
    ray_address: str = "auto"
    out: Path | None = None
    force: bool = False
    stored: bool = False
    plugin: tuple[str, ...] = ()
    figure_images: str | None = None
    """Ids of the images that figures show, joined by commas; None for a few by hash."""
    tex: TexStyle | None = None
    """How NAME.tex of a paper's table looks: as printed, or the paper above ours (the default)."""
    report: bool = True
    """Whether figures and page are made."""
    full: bool = False
    """The printed table with every interval, however wide the terminal is."""
    json: bool = False
    """The printed table as JSON."""
    sort: str | None = None
    """The metric by which the printed rows stand."""

    def __post_init__(self) -> None:
        for name, allowed in NUMBERS.items():
            value = getattr(self, name)
            if value not in (None, "auto"):
                allowed.check(f"--{name.replace('_', '-')}", value)

    @classmethod
    def from_mapping(cls, values: Mapping[str, Any], source: str = "the configuration") -> RunConfig:
        """The configuration that a mapping states; names may be written with hyphens, lists as lists.

        Raises UsageError for an unknown name and a value of another kind; `source` is what the message calls it.
        """
        return cls(**converted(values, source))

    def as_mapping(self) -> dict[str, Any]:
        """What was set, as JSON has it, without how and where the run was carried out: `from_mapping` gives the same
        run back."""
        found = {}
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if field.name not in HOW and value != field.default:
                found[field.name] = plain(value)
        return found


HOW = frozenset(
    {"tex", "figure_images", "report", "full", "json", "sort", "engine", "ray_address", "out", "force", "stored"}
)
"""Fields that change no number and no row of a table."""


def plain(value: Any) -> Any:
    """A value as JSON has it."""
    if isinstance(value, tuple):
        return [plain(item) for item in value]
    return str(value) if isinstance(value, Path) else value


def text(value: Any) -> str:
    """A text, or a list of texts joined by commas."""
    if isinstance(value, list | tuple) and all(isinstance(item, str) for item in value):
        return ",".join(value)
    if not isinstance(value, str):
        raise ValueError("a text, or a list of texts")
    return value


def switch(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError("true or false")
    return value


def whole(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise ValueError("a whole number")
    return value


def batch(value: Any) -> BatchSize:
    return "auto" if value == "auto" else whole(value)


def numbers(value: Any) -> tuple[float, ...]:
    parts = value.split(",") if isinstance(value, str) else [value] if isinstance(value, int | float) else value
    try:
        return tuple(float(part) for part in parts)
    except (TypeError, ValueError):
        raise ValueError("numbers, as [0.5, 0.5, 0.5]") from None


def texts(value: Any) -> tuple[str, ...]:
    return tuple(text(item) for item in ([value] if isinstance(value, str) else value))


def path(value: Any) -> Path:
    return user_path(text(value))


def paths(value: Any) -> tuple[Path, ...]:
    return tuple(map(path, [value] if isinstance(value, str) else value))


CONVERTERS: dict[Any, Callable[[Any], Any]] = {
    str: text, bool: switch, int: whole, BatchSize: batch, Path: path, tuple[float, ...]: numbers,
    tuple[str, ...]: texts, tuple[Path, ...]: paths, OutputName: text, DTypeName: text, TexStyle: text,
}  # fmt: skip


def converted(values: Mapping[str, Any], source: str) -> dict[str, Any]:
    """The fields that a mapping states, of the types that they have."""
    kinds = typing.get_type_hints(RunConfig)
    found = {}
    for written, value in values.items():
        name = str(written).replace("-", "_")
        if name not in kinds:
            raise UsageError(f"{source}: {written!r} is not a setting of a run; {suggest(name, kinds)}")
        kind = kinds[name]
        if kind not in CONVERTERS:  # X | None
            if value is None:
                continue
            kind = next(part for part in CONVERTERS if part | None == kind)
        try:
            found[name] = CONVERTERS[kind](value)
        except (TypeError, ValueError) as error:
            raise UsageError(f"{source}: {written} is {error}, not {value!r}") from None
    return found


def read_config(file: Path) -> dict[str, Any]:
    """The fields that a YAML, TOML or JSON file states; of a results folder's `run.json` its part `config`.

    Raises UsageError for a file that is missing, of another kind, or states something unknown.
    """
    try:
        content = file.read_text(encoding="utf-8")
        values = PARSERS.get(file.suffix.lower(), parse_yaml)(content)
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"--config {file} cannot be read: {getattr(error, 'strerror', None) or error}") from None
    except ValueError as error:
        raise UsageError(f"--config {file} cannot be parsed: {' '.join(str(error).split())}") from None
    if isinstance(values, Mapping) and isinstance(values.get("config"), Mapping):
        values = values["config"]
    if not isinstance(values, Mapping):
        raise UsageError(f"--config {file} must hold names and values, as `methods: [grad-cam, cam]`")
    return converted(values, f"--config {file}")


def parse_yaml(content: str) -> Any:
    import yaml

    try:
        return yaml.safe_load(content)
    except yaml.YAMLError as error:
        raise ValueError(str(error)) from error


def parse_toml(content: str) -> Any:
    return importlib.import_module("tomllib" if sys.version_info >= (3, 11) else "tomli").loads(content)


PARSERS: dict[str, Callable[[str], Any]] = {".toml": parse_toml, ".json": json.loads}
