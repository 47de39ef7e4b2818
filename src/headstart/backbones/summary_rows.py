"""The layers of a network out of what a forward pass saw of it (`observe`): counts, stages, what trains."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from torch import nn

from headstart.backbones.blank import BODY
from headstart.backbones.layers import stage_modules
from headstart.backbones.observe import Seen
from headstart.backbones.summary import ITSELF, WHOLE, LayerSummary

if TYPE_CHECKING:
    from headstart.backbones.field import Field


def layer_rows(
    body: nn.Module, module: nn.Module, seen: Sequence[Seen], trained: set[str] | None
) -> Iterator[LayerSummary]:
    """Leaves of the network, and modules that hold weights or multiply themselves."""
    prefix = "" if body is module else BODY
    parts, counted = dict(module.named_modules()), set[int]()
    stage_of = _stages(body, [_inner(each.name, prefix) for each in seen])
    for each in _with_uncalled(parts, list(seen)):
        part, name = parts[each.name], _inner(each.name, prefix)
        in_body = f"{each.name}.".startswith(prefix)
        own = [(key, p) for key, p in part.named_parameters(recurse=False) if id(p) not in counted]
        counted |= {id(p) for _, p in own}
        if not (each.leaf or own or each.macs) or _is_silent(part):
            continue
        keys = [(f"{name}.{key}" if name else key, p.numel()) for key, p in own]
        trains = [n for key, n in keys if trained is None or not in_body or key in trained]
        statistics = [
            b for key, b in part.named_buffers(recurse=False) if key in ("running_mean", "running_var")
        ]
        yield LayerSummary(
            name=name or ITSELF,
            kind=each.kind,
            stage=stage_of(name) if in_body else "head",
            output=each.output,
            n_parameters=sum(n for _, n in keys),
            n_trainable=sum(trains),
            n_statistics=sum(b.numel() for b in statistics),
            macs=each.macs,
            activation_bytes=each.n_bytes,
            receptive_field=_told(each.field),
        )


def _inner(name: str, prefix: str) -> str:
    """The name of a module of the network itself, under a new head or not."""
    return f"{name}.".removeprefix(prefix).removesuffix(".")


def _with_uncalled(parts: dict[str, nn.Module], seen: list[Seen]) -> list[Seen]:
    """Modules with weights that are never called stand behind the one before them."""
    names = [each.name for each in seen]
    before = ""
    for name, part in parts.items():
        if name not in names and next(iter(part.parameters(recurse=False)), None) is not None:
            at = names.index(before) + 1 if before in names else len(names)
            seen.insert(at, Seen(name, type(part).__name__, True))
            names.insert(at, name)
        before = name if name in names else before
    return seen


def _is_silent(part: nn.Module) -> bool:
    """Hands on what it is given, whatever it is."""
    return isinstance(part, nn.Identity) or (isinstance(part, nn.Dropout) and part.p == 0)


def _stages(body: nn.Module, order: Sequence[str]) -> Any:
    """A function from layer to stage: a stage's module and what is in it, or what runs up to it."""
    ends = [name for name in stage_modules(body) if name in order]
    place = {name: at for at, name in enumerate(order)}
    told = getattr(body, "stem", "")
    charted, stem = hasattr(body, "cuts"), place[told] if told and isinstance(told, str) else -1

    def stage(name: str) -> str:
        if not name:  # tokens and positions, which come first
            return "stem" if ends else ""
        at = place.get(name, 0)
        for number, end in enumerate(ends, 1):
            if f"{name}.".startswith(f"{end}.") or (charted and stem < at <= place[end]):
                return f"stage{number}"
            if at < place[end]:
                return "stem" if number == 1 else f"stage{number - 1}"
        return "head" if ends else ""

    return stage


def _told(field: Field | None) -> tuple[int, int] | str | None:
    if field is None:
        return None
    return WHOLE if field.whole else field.extent
