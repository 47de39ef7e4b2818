"""The label page: what it asks for and what it sends, as JSON; all it changes is the journal of a session."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from fastapi import FastAPI, HTTPException, Request
from fastapi.responses import HTMLResponse, JSONResponse, Response
from pydantic import BaseModel, ConfigDict, Field

from headstart.base.errors import BadImage, UsageError
from headstart.base.hashing import digest_file
from headstart.dataset.journal import SKIPPED
from headstart.dataset.next_rows import ORDERS, Shape
from headstart.dataset.session import RECENT, LabelSession
from headstart.images.thumbnail import thumbnail
from headstart.web.pages import filled, static
from headstart.web.refitter import Refitter

SMALL, LARGE = 224, 1024
WAIT_SECONDS = 3.0
MOST_ROWS = 2_000


class Given(BaseModel):
    """Labels for images, by row: a class, "" for skipped, null to take the label away."""

    model_config = ConfigDict(extra="forbid")
    labels: dict[int, str | None] = Field(max_length=MOST_ROWS)


def label_app(session: LabelSession, refitter: Refitter, finish: Callable[[], None]) -> FastAPI:
    """The application of the page.

    Parameters
    ----------
    session : LabelSession
    refitter : Refitter
        Of the same session, running.
    finish : callable
        Ends the server once the person is done.
    """
    app = FastAPI(title="Headstart label page", docs_url=None, redoc_url=None, openapi_url=None)
    _add_pages(app, session)
    _add_reads(app, session, refitter)
    _add_changes(app, session, refitter, finish)

    @app.exception_handler(UsageError)
    async def _usage(request: Request, error: Exception) -> JSONResponse:
        return JSONResponse({"detail": str(error)}, status_code=400)

    @app.exception_handler(OSError)
    async def _disk(request: Request, error: Exception) -> JSONResponse:
        return JSONResponse({"detail": f"nothing was kept: {error}"}, status_code=507)

    return app


def _add_pages(app: FastAPI, session: LabelSession) -> None:
    @app.get("/")
    def page() -> HTMLResponse:
        return HTMLResponse(filled("label.html", name=session.table.name))

    @app.get("/favicon.ico")
    def icon() -> Response:
        return Response(status_code=204)

    @app.get("/static/{name}")
    def file(name: str) -> Response:
        found = static(name)
        if found is None:
            raise HTTPException(404, "no such file")
        return Response(found[0], media_type=found[1])

    @app.get("/image/{row}/{digest}")
    def image(row: int, digest: str, large: bool = False) -> Response:
        """What a browser keeps is named by its content: a row is another image in the next session."""
        table = session.table
        if not 0 <= row < len(table) or table.digests[row] != digest:
            raise HTTPException(404, "no such image")
        try:
            if digest_file(Path(table.root) / table.paths[row]) != digest:
                raise HTTPException(404, "the image has changed since; start the same command again")
            jpeg = thumbnail(table.item(row), LARGE if large else SMALL)
        except (BadImage, OSError) as error:
            raise HTTPException(404, "the image can no longer be read") from error
        kept = {"cache-control": "private, max-age=3600"}
        return Response(jpeg, media_type="image/jpeg", headers=kept)


def _add_reads(app: FastAPI, session: LabelSession, refitter: Refitter) -> None:
    @app.get("/state.json")
    def state() -> JSONResponse:
        return _valid({**_state(session, refitter), "classes": list(session.classes)})

    @app.get("/batch.json")
    def batch(order: str = ORDERS[0], rows: int = 6, columns: int = 8) -> JSONResponse:
        if not (1 <= rows <= 40 and 1 <= columns <= 40):
            raise HTTPException(400, "rows and columns are 1 to 40")
        found = session.batch(order, Shape(rows, columns))
        said = _state(session, refitter)
        return _valid({**said, "rows": [_cells(session, row) for row in found]})

    @app.get("/suggestions.json")
    def suggestions(rows: str, after: int = -2) -> JSONResponse:
        wanted = _rows(rows, len(session.table))
        refitter.wait_past(after, WAIT_SECONDS)
        return _valid({**_state(session, refitter), "cells": _cells(session, wanted)})


def _add_changes(app: FastAPI, session: LabelSession, refitter: Refitter, finish: Callable[[], None]) -> None:
    @app.post("/label")
    def label(given: Given) -> JSONResponse:
        session.give(given.labels)
        refitter.wake()
        return _valid({**_state(session, refitter), "cells": _cells(session, list(given.labels))})

    @app.post("/undo")
    def undo() -> JSONResponse:
        rows = session.undo()
        refitter.wake()
        return _valid({**_state(session, refitter), "cells": _cells(session, rows)})

    @app.post("/finish")
    def done() -> JSONResponse:
        table = session.write_table()
        finish()
        return _valid({**_state(session, refitter), "table": str(table)})


def _state(session: LabelSession, refitter: Refitter) -> dict[str, Any]:
    """The page in numbers."""
    model = session.model
    known = None
    if model is not None:
        known = {
            "n": model.n,
            "seconds": model.seconds,
            "calibrated": model.calibrated,
            "head": model.head.name,
        }
    counts = session.counts()
    return {
        "name": session.table.name,
        "n": counts.n,
        "n_labelled": counts.n_labelled,
        "n_skipped": counts.n_skipped,
        "counts": list(counts.per_class.values()),
        "version": session.version,
        "model_version": session.model_version,
        "model": known,
        "trouble": refitter.trouble,
        "orders": [*ORDERS, RECENT],
    }


def _cells(session: LabelSession, rows: Sequence[int]) -> list[dict[str, Any]]:
    """What the page shows of each image."""
    made = []
    for row, said in zip(rows, session.suggestions(rows), strict=True):
        label = session.label_of(row)
        made.append(
            {
                "row": row,
                "digest": session.table.digests[row],
                "path": session.table.paths[row],
                "label": None if label == SKIPPED else label,
                "skipped": label == SKIPPED,
                "suggestion": None if said is None else said[0],
                "confidence": None if said is None else said[1],
            }
        )
    return made


def _rows(text: str, n: int) -> list[int]:
    parts = text.split(",") if text else []
    if len(parts) > MOST_ROWS or not all(part.isdecimal() and int(part) < n for part in parts):
        raise HTTPException(400, "rows are numbers of images, with commas")
    return [int(part) for part in parts]


def _valid(value: Any) -> JSONResponse:
    """JSON of names that may hold bytes which are no UTF-8."""
    return JSONResponse(_text(value))


def _text(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    if isinstance(value, dict):
        return {_text(key): _text(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_text(item) for item in value]
    return value
