"""The contract held during a run: who is called leaves the network, the images and torch's settings as they were."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from bench.core.classifier import Classifier

HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")


def gradient_mode() -> bool:
    """As the caller left it; derived images are made in inference mode, which is none of theirs."""
    return torch.is_grad_enabled() or torch.is_inference_mode_enabled()


SETTINGS: dict[str, tuple[Callable[[], Any], Callable[[Any], Any]]] = {
    "torch's gradient mode": (gradient_mode, torch.set_grad_enabled),
    "torch's default dtype": (torch.get_default_dtype, torch.set_default_dtype),
    "torch's number of threads": (torch.get_num_threads, torch.set_num_threads),
    "the working folder": (os.getcwd, os.chdir),
    "torch's deterministic mode": (torch.are_deterministic_algorithms_enabled, torch.use_deterministic_algorithms),
}
"""Name to (read, write)."""


class Changed(Exception):
    """Somebody's code changed what it must leave alone; the message says what. It has been put back."""


class Watched:
    """A tensor with the counters that tell that it was written to, and a copy to put back."""

    def __init__(self, tensor: Tensor):
        self.tensor = tensor
        self.copy = tensor.detach().clone()
        self.facts = (tensor.data_ptr(), tensor.requires_grad)
        self.version = version(tensor)

    def changed(self, deep: bool) -> bool:
        """Whether the values differ from the copy; with `deep`, also where the counters saw nothing (`tensor.data`)."""
        facts = (self.tensor.data_ptr(), self.tensor.requires_grad)
        if not deep and version(self.tensor) == self.version and facts == self.facts:
            return False
        alike = (self.tensor.dtype, self.tensor.shape) == (self.copy.dtype, self.copy.shape)
        written = not alike or not same_values(self.tensor.detach(), self.copy)
        self.version = version(self.tensor)
        return written or self.tensor.requires_grad != self.facts[1]

    @torch.inference_mode(False)
    def restore(self) -> None:
        self.tensor.data = self.copy.clone()
        self.tensor.requires_grad_(self.facts[1])
        self.__init__(self.tensor)  # type: ignore[misc]


def version(tensor: Tensor) -> int:
    """Counts writes in place; tensors made in inference mode have none."""
    return -1 if tensor.is_inference() else tensor._version


def same_values(value: Tensor, expected: Tensor) -> bool:
    """Equal bit by bit, NaN to NaN."""
    return torch.equal(value, expected) or bool(((value == expected) | (value.isnan() & expected.isnan())).all())


class Part:
    """A module's mode, hooks, children, tensors and code, as they were."""

    def __init__(self, path: str, module: nn.Module):
        self.path = path or "the network"
        self.module = module
        self.training = module.training
        self.hooks = {name: dict(hooks) for name, hooks in self.hook_tables()}
        self.tables = {name: dict(getattr(module, name)) for name in ("_parameters", "_buffers", "_modules")}
        self.forward = module.__dict__.get("forward")

    def hook_tables(self) -> Iterator[tuple[str, dict[int, Any]]]:
        return ((name, table) for name in HOOKS if (table := getattr(self.module, name, None)) is not None)

    def put_back(self) -> str:
        """Put back what differs, and say what that was; "" for nothing."""
        found = ""
        for name, table in self.hook_tables():
            if table.keys() != self.hooks[name].keys():
                table.clear()
                table.update(self.hooks[name])
                found = f"hooks left on {self.path}"
        for name, kept in self.tables.items():
            table = getattr(self.module, name)
            if table.keys() != kept.keys() or any(table[key] is not kept[key] for key in kept):
                table.clear()
                table.update(kept)
                found = f"{name.strip('_')} of {self.path}"
        if self.module.training != self.training:
            self.module.training = self.training
            found = f"training mode of {self.path}"
        if self.module.__dict__.get("forward") is not self.forward:
            if self.forward is None:
                del self.module.__dict__["forward"]
            else:
                self.module.__dict__["forward"] = self.forward
            found = f"forward of {self.path}"
        for tensor in self.tables["_parameters"].values():
            if tensor is not None and tensor.grad is not None:
                tensor.grad = None
                found = found or f"a gradient left on {self.path}"
        return found


class Guard:
    """Watches a classifier, and the tensors of the images at hand; asked after every call of an explainer or metric."""

    def __init__(self, classifier: Classifier):
        self.classifier = classifier
        roots = (classifier.net, classifier.module)
        modules = {id(m): (path, m) for root in roots for path, m in root.named_modules()}
        self.parts = [Part(path, module) for path, module in modules.values()]
        tensors = {id(t): (name, t) for root in roots for name, t in (*root.named_parameters(), *root.named_buffers())}
        own = {name: value for name, value in vars(classifier).items() if isinstance(value, Tensor)}
        self.tensors = {name: Watched(tensor) for name, tensor in (*tensors.values(), *own.items())}
        self.own = own
        self.settings = {name: read() for name, (read, _) in SETTINGS.items()}
        self.images: list[Watched] = []

    def watch(self, images: Sequence[Tensor]) -> None:
        """The tensors of the next images, in place of the last ones."""
        if [id(watched.tensor) for watched in self.images] != list(map(id, images)):
            self.images = [Watched(image) for image in images]

    def check(self, deep: bool = False) -> None:
        """Put back whatever has changed, and raise Changed if anything has. `deep` compares every value as well, which
        sees what no counter does."""
        found = [what for part in self.parts if (what := part.put_back())]
        for name, tensor in self.own.items():
            if getattr(self.classifier, name, None) is not tensor:
                setattr(self.classifier, name, tensor)
                found.append(f"the classifier's {name}")
        for name, watched in self.tensors.items():
            if watched.changed(deep):
                watched.restore()
                found.append(f"the values of {name}")
        for watched in self.images:
            if watched.changed(deep):
                watched.restore()
                found.append("an image")
        for name, (read, write) in SETTINGS.items():
            if read() != self.settings[name]:
                write(self.settings[name])
                found.append(name)
        if found:
            more = f" and {len(found) - 1} more" if len(found) > 1 else ""
            raise Changed(f"it changed {found[0]}{more}; all is put back, and nothing of it is stored")
