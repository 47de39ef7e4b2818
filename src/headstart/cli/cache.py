"""`headstart cache list | clear`: what is kept on disk so that nothing is computed twice."""

from __future__ import annotations

import time
from dataclasses import asdict
from typing import Annotated

import typer

from headstart.cli.flags import Json, verb
from headstart.cli.text import printable, say, say_json, table

app = typer.Typer(
    help="Show or clear what is kept on disk so that nothing is computed twice.", rich_markup_mode=None
)


@app.callback(invoke_without_command=True)
def _root(context: typer.Context) -> None:
    if context.invoked_subcommand is None:
        say(context.get_help())


def list_(json: Json = False) -> None:
    """List the kept features, most recently used first."""
    from headstart.features.store import FeatureStore
    from headstart.report.wording import size

    store = FeatureStore()
    entries = store.entries()
    if json:
        say_json(
            {
                "folder": str(store.folder),
                "bytes": store.total_bytes(),
                "entries": [asdict(each) for each in entries],
            }
        )
        return
    rows = [
        [
            e.backbone,
            e.module,
            e.pooling,
            e.engine,
            e.precision,
            f"{e.n_rows:,}",
            size(e.bytes),
            _day(e.last_used),
        ]
        for e in entries
    ]
    header = ["backbone", "module", "pooling", "engine", "precision", "images", "size", "last used"]
    for line in table(header, rows, right=(5, 6)) if rows else ["nothing is kept"]:
        say(line)
    say(f"\n{size(store.total_bytes())} in {printable(store.folder)}")


def clear(
    older_than: Annotated[
        float,
        typer.Option(
            "--older-than",
            metavar="DAYS",
            min=0,
            help="only what was last used so long ago",
            show_default=False,
        ),
    ] = 0.0,
    json: Json = False,
) -> None:
    """Remove the kept features."""
    from headstart.features.store import FeatureStore
    from headstart.report.wording import size

    store = FeatureStore()
    freed = store.clear(older_than)
    if json:
        say_json({"folder": str(store.folder), "freed_bytes": freed})
    else:
        say(f"freed {size(freed) if freed else 'nothing'} in {printable(store.folder)}")


def _day(seconds: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(seconds))


verb(app, example="headstart cache list")(list_)
verb(app, example="headstart cache clear --older-than 30")(clear)
