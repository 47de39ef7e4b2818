"""`headstart cache list | clear`: what is kept on disk so that nothing is computed twice."""

from __future__ import annotations

import time
from dataclasses import asdict
from typing import Annotated

import typer

from headstart.cli.flags import Json, verb
from headstart.cli.screen import shown
from headstart.cli.text import printable, say, say_json, table

app = typer.Typer(
    help="Show or clear what is kept on disk so that nothing is computed twice.", rich_markup_mode=None
)


@app.callback(invoke_without_command=True)
def _root(context: typer.Context) -> None:
    if context.invoked_subcommand is None:
        say(context.get_help())


def list_(json: Json = False) -> None:
    """List what is kept, most recently used first: features, activations of frozen parts, stopped runs."""
    from headstart.features.store import FeatureStore
    from headstart.methods.kept import activations_folder, entries, runs_folder
    from headstart.report.wording import size

    store = FeatureStore()
    features = store.entries()
    folders = {"activations": activations_folder(), "runs": runs_folder()}
    others = {name: entries(folder) for name, folder in folders.items()}
    if json:
        more = {
            name: {
                "folder": str(folders[name]),
                "bytes": sum(each.bytes for each in found),
                "entries": [asdict(each) for each in found],
            }
            for name, found in others.items()
        }
        own = [asdict(each) for each in features]
        say_json({"folder": str(store.folder), "bytes": store.total_bytes(), "entries": own, **more})
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
        for e in features
    ]
    header = ["backbone", "module", "pooling", "engine", "precision", "images", "size", "last used"]
    if not rows and not any(others.values()):
        say("nothing is kept")
    for line in table(header, rows, right=(5, 6)) if rows else ():
        say(line)
    say(f"\nfeatures: {size(store.total_bytes())} in {printable(store.folder)}")
    for name, what in (("activations", "activations of frozen parts"), ("runs", "stopped training runs")):
        if found := others[name]:
            total = size(sum(each.bytes for each in found))
            say(
                f"{what}: {len(found):,}, {total} in {printable(folders[name])}, last used {_day(found[0].last_used)}"
            )


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
    """Remove what is kept: features, activations of frozen parts, stopped runs; not what a run is using."""
    from headstart.base.runtime import cache_folder
    from headstart.features.store import FeatureStore
    from headstart.methods import kept
    from headstart.report.wording import size

    store = FeatureStore()
    with shown():
        freed = {
            "features": store.clear(older_than),
            "activations": kept.clear(kept.activations_folder(), older_than),
            "runs": kept.clear(kept.runs_folder(), older_than),
        }
    total = sum(freed.values())
    if json:
        say_json({"folder": str(store.folder), "freed_bytes": total, "freed": freed})
        return
    parts = ", ".join(f"{name} {size(n)}" for name, n in freed.items() if n)
    say(f"freed {f'{size(total)} ({parts})' if total else 'nothing'} in {printable(cache_folder())}")


def _day(seconds: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(seconds))


verb(app, example="headstart cache list")(list_)
verb(app, example="headstart cache clear --older-than 30")(clear)
