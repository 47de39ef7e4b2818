"""Flags from option classes: what `base.options.option` declares once is parsed, checked and explained here.

A field of a frozen dataclass is one flag; a tuple may be given several times or with commas. A flag that is
not given stays out, so that a spec file keeps its word.
"""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable, Mapping
from functools import partial, wraps
from typing import Annotated, Any, TypeVar, get_args, get_type_hints

import typer

from headstart.base.errors import BadOptions
from headstart.base.options import complaints, flag_name, mistakes

T = TypeVar("T")
Verb = Callable[..., int | None]
Json = Annotated[bool, typer.Option("--json", help="print the result as JSON (see docs/json.md)")]
Data = Annotated[
    str,
    typer.Argument(
        metavar="DATA",
        help="A folder, a table, COCO or Parquet file, or the name of a packaged set.",
        show_default=False,
    ),
]
_WORDS: dict[Any, str] = {int: "a whole number", float: "a number"}


def verb(
    app: typer.Typer, *declared: type, example: str, skip: tuple[str, ...] = ()
) -> Callable[[Verb], Verb]:
    """Make a function a verb of `app`.

    Parameters
    ----------
    declared : option classes
        Their fields become flags; what was given arrives in the function's `**flags`.
    example : str
        Command lines shown at the end of `--help`.
    skip : tuple of str
        Fields that are no flags here (given otherwise).
    """

    def register(function: Verb) -> Verb:
        own = inspect.signature(function).parameters
        hints = get_type_hints(function, include_extras=True)
        kept = [p.replace(annotation=hints[n]) for n, p in own.items() if p.kind != p.VAR_KEYWORD]
        added = [flag for kind in declared for flag in parameters(kind, skip)]

        @wraps(function)
        def run(**given: Any) -> int | None:
            return function(**given)

        run.__signature__ = inspect.Signature([*kept, *added])  # type: ignore[attr-defined]
        run.__annotations__ = {p.name: p.annotation for p in (*kept, *added)}
        name = function.__name__.rstrip("_")
        summary = (function.__doc__ or "").split("\n\n")[0].strip()
        app.command(name, short_help=summary, epilog="\b\nExamples:\n" + _indented(example))(run)
        return run

    return register


def _indented(example: str) -> str:
    return "\n".join("  " + line.strip() for line in example.strip().splitlines())


def parameters(declared: type, skip: tuple[str, ...] = ()) -> list[inspect.Parameter]:
    """The flags of an option class, as keyword parameters that typer reads."""
    hints = get_type_hints(declared)
    return [_parameter(field, hints[field.name]) for field in _fields(declared) if field.name not in skip]


def _fields(declared: type) -> list[dataclasses.Field[Any]]:
    """The fields, those that the class itself declares before what it inherits."""
    own = inspect.get_annotations(declared)
    return sorted(dataclasses.fields(declared), key=lambda field: field.name not in own)


def _parameter(field: dataclasses.Field[Any], hint: Any) -> inspect.Parameter:
    several = "tuple" in str(hint)
    flag = typer.Option(
        *_declared_names(field),
        help=help_text(field, several),
        metavar=_metavar(field, hint),
        show_default=False,
    )
    as_text = field.metadata.get("read") or _number(hint)
    kind: Any = list[str] | None if several else (str if as_text else hint) | None
    annotation = Annotated[kind, flag]
    return inspect.Parameter(field.name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=annotation)


def _declared_names(field: dataclasses.Field[Any]) -> list[str]:
    """Its other name first; with `--no-NAME` beside it where the option is on unless told otherwise."""
    name = flag_name(field.name)
    own = f"{name}/--no-{name[2:]}" if field.default is True else name
    return [*(flag_name(each) for each in (field.metadata.get("also") or ())[:1]), own]


def _metavar(field: dataclasses.Field[Any], hint: Any) -> str | None:
    if hint is bool:
        return None
    if field.metadata.get("metavar"):
        return str(field.metadata["metavar"])
    if field.metadata.get("choices"):
        return "NAME"
    return "NUMBER" if {hint, *get_args(hint)} & {int, float} else "TEXT"


def help_text(field: dataclasses.Field[Any], several: bool) -> str:
    """Help, choices, range and default of an option in one line."""
    meta = field.metadata
    parts = [str(meta["help"])]
    if meta.get("choices"):
        parts.append("one of " + ", ".join(meta["choices"]))
    elif meta.get("low") is not None and meta.get("high") is not None:
        parts.append(f"{meta['low']:g} to {meta['high']:g}")
    if several:
        parts.append("may be given several times, or with commas")
    return "; ".join(parts) + _default(field.default, str(meta["help"]))


def _default(value: Any, said: str) -> str:
    if value is None or value is False or value in ("", ()) or "(default" in said:
        return ""
    shown = ", ".join(map(str, value)) if isinstance(value, tuple) else "on" if value is True else value
    return f" [default: {shown}]"


def build(declared: type[T], given: Mapping[str, Any], base: T | None = None, *, check: bool = True) -> T:
    """The options that the flags say, on top of `base` (else the defaults).

    Raises
    ------
    BadOptions
        With every mistake.
    """
    made, found = collected(declared, given, base)
    if check or found:
        found += [line for line in mistakes(made) if line not in found]
    if found:
        raise BadOptions(found)
    return made


def collected(declared: type[T], given: Mapping[str, Any], base: T | None = None) -> tuple[T, list[str]]:
    """The options of the flags that can be read, on top of `base`, and a sentence on each that cannot."""
    hints = get_type_hints(declared)
    found: list[str] = []
    values: dict[str, Any] = {}
    for field in _fields(declared):
        value = given.get(field.name)
        if value is None or value == []:
            continue
        read = field.metadata.get("read") or _number(hints[field.name])
        if isinstance(value, list):
            values[field.name] = _several(field.name, value, read or get_args(hints[field.name])[0], found)
        elif read is None or not isinstance(value, str):
            values[field.name] = value
        elif wrong := complaints(field.name, read, value):
            found += wrong
        else:
            values[field.name] = read(value)
    made: T = dataclasses.replace(base, **values) if base is not None else declared(**values)  # type: ignore[type-var]
    return made, found


def _number(hint: Any) -> Callable[[str], float] | None:
    """What reads the text of a number; None for options that are none. Typer would stop at the first that is wrong."""
    kinds = {hint, *(() if "tuple" in str(hint) else get_args(hint))}
    for kind in (int, float):
        if kind in kinds:
            return partial(_read_number, kind)
    return None


def _read_number(kind: type[int] | type[float], text: str) -> float:
    try:
        return kind(text)
    except ValueError:
        raise ValueError(f"expected {_WORDS[kind]}, got {text!r}") from None


def _several(name: str, texts: list[str], kind: Any, found: list[str]) -> tuple[Any, ...]:
    items: list[Any] = []
    for text in (part.strip() for each in texts for part in each.split(",")):
        if not text:
            continue
        try:
            items.append(kind(text))
        except ValueError as error:
            found.append(
                f"{name}: expected {_WORDS[kind]}, got {text!r}" if kind in _WORDS else f"{name}: {error}"
            )
    return tuple(items)
