"""`headstart`: the verbs, and what every command has in common: one-line errors, exit status, `--debug`.

Exit status: 0 done, 1 a fault of Headstart itself, 2 something the user can mend, 130 stopped by Ctrl-C.
"""

from __future__ import annotations

import gc
import os
import sys
import warnings
from collections.abc import Sequence
from typing import Annotated, Any, TextIO

import typer

from headstart.base.errors import EngineError, HeadstartError
from headstart.base.interrupts import never_lost
from headstart.cli import (
    advise,
    augment,
    backbones,
    cache,
    cluster,
    data,
    dataset,
    explain,
    fit,
    label,
    models,
    search,
    study,
    summary,
)
from headstart.cli import archive as archiving
from headstart.cli import audit as auditing
from headstart.cli import map as image_map
from headstart.cli import report as reporting
from headstart.cli import split as splitting
from headstart.cli import tune as tuning
from headstart.cli.text import printable

STOPPED, BROKEN_PIPE = 130, 141
COLLECT_AFTER = 10_000  # new objects
_ClickError: Any = typer.BadParameter.__mro__[2]  # whichever click typer brings
EPILOG = "Add --debug to any command to see the whole traceback of an error."

app = typer.Typer(
    name="headstart",
    help="Reuse pretrained networks on your own images: compare, choose, fit, predict, know how sure.",
    epilog=EPILOG,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for group in (
    study,
    advise,
    fit,
    models,
    data,
    backbones,
    summary,
    auditing,
    splitting,
    augment,
    cluster,
    explain,
    image_map,
    search,
    reporting,
    archiving,
    label,
    tuning,
):
    group.add_to(app)
app.add_typer(cache.app, name="cache")
app.add_typer(dataset.app, name="dataset")


@app.callback(invoke_without_command=True)
def _root(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Print the version and stop.")] = False,
) -> None:
    if version:
        from headstart import __version__

        sys.stdout.write(f"headstart {__version__}\n")
        raise typer.Exit(0)
    if context.invoked_subcommand is None:
        sys.stdout.write(context.get_help() + "\n")


def command() -> int:
    """`main` as a process of its own: the collector of cycles stays out of the imports and of the end.

    Together 0.5 s of a command that takes 3.5 s. What is left at the end is not walked through once more.
    """
    gc.set_threshold(COLLECT_AFTER)
    try:
        return main()
    finally:
        gc.freeze()


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command line; returns the exit status."""
    debug, given = _without_debug(sys.argv[1:] if arguments is None else arguments)
    for stream in (sys.stdout, sys.stderr):
        _never_fails(stream)
    with warnings.catch_warnings(), never_lost():
        _hush(debug)
        return _run(given, debug)


def _run(given: list[str], debug: bool) -> int:
    try:
        status = app(given, prog_name="headstart", standalone_mode=False, obj={"arguments": given})
        sys.stdout.flush()
    except typer.Abort:
        return _stopped()
    except Exception as error:  # noqa: BLE001 (the one place where every error becomes a line)
        return _failed(error, debug)
    except KeyboardInterrupt:
        return _stopped()
    except SystemExit as end:
        return _closed() if end.code == 1 else int(end.code or 0)
    if status == STOPPED:
        return _stopped()
    return status if isinstance(status, int) else 0


def _without_debug(arguments: Sequence[str]) -> tuple[bool, list[str]]:
    """Whether `--debug` was given, anywhere before `--`, and the rest."""
    end = list(arguments).index("--") if "--" in arguments else len(arguments)
    head = [text for text in arguments[:end] if text != "--debug"]
    return len(head) < end, [*head, *arguments[end:]]


def _failed(error: Exception, debug: bool) -> int:
    if isinstance(error, BrokenPipeError):
        return _closed()
    if debug and not isinstance(error, _ClickError):
        import traceback

        traceback.print_exception(error, file=sys.stderr)
    if isinstance(error, _ClickError):
        return _said(f"{error.format_message()}{_where(error)}", 2)
    if isinstance(error, HeadstartError) and not isinstance(error, EngineError):
        return _said(str(error), 2)
    if isinstance(error, HeadstartError | OSError):
        return _said(str(error), 2)
    return _said(f"{type(error).__name__}: {error}{'' if debug else ' (run with --debug to see where)'}", 1)


def _where(error: Any) -> str:
    context = getattr(error, "ctx", None)
    return f" (see {context.command_path} --help)" if context is not None else ""


def _said(message: str, status: int) -> int:
    sys.stderr.write(f"headstart: error: {printable(' '.join(message.split()))}\n")
    return status


def _stopped() -> int:
    sys.stderr.write("headstart: stopped; the same command goes on with what is kept\n")
    return STOPPED


def _closed() -> int:
    """Whoever read stdout is gone: nothing more is written."""
    sys.stdout = open(os.devnull, "w")  # noqa: SIM115, PTH123 (open until the process ends)
    return BROKEN_PIPE


def _never_fails(stream: TextIO) -> None:
    """Names that the terminal cannot show are written out instead of raising."""
    if hasattr(stream, "reconfigure"):
        stream.reconfigure(errors="backslashreplace")


def _hush(debug: bool) -> None:
    """Packages' warnings for programmers are shown with `--debug`; Headstart's own come as events."""
    if not debug:
        warnings.simplefilter("ignore")


if __name__ == "__main__":
    sys.exit(command())
