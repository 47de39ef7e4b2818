"""What `explain` found, as text and as JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from headstart.cli.text import printable, table

if TYPE_CHECKING:
    from headstart.cli.explain import ExplainOptions
    from headstart.explain.landscape import Landscape, Starts
    from headstart.explain.see import Seen, View
    from headstart.report.explain_parts import Parts


def as_json(seen: Seen, parts: Parts, html: str | None) -> dict[str, Any]:
    """Maps and what stands beside them (docs/json.md)."""
    starts = parts.starts
    return {
        **seen.to_dict(),
        "beside": None if parts.beside is None else parts.beside.to_dict(),
        "changes": [
            {"output": name or None, "n": each.n, "layers": each.rows, "cka": each.cka}
            for name, each in parts.changes.items()
        ],
        "landscape": None if starts is None else _landscape(starts),
        "html": html,
    }  # fmt: skip


def _landscape(starts: Starts) -> dict[str, Any]:
    """Both descents, the three surfaces, and where the paths lie in each."""
    both = starts.together
    return {
        **{
            name: {
                "losses": path.losses, "learning_rate": path.learning_rate, "moved": path.moved,
                "explained": plane.explained, "plane": _surface(plane), "around": _surface(around),
            }
            for name, (path, plane, around) in (("random", starts.random), ("pretrained", starts.pretrained))
        },
        "together": {
            "x": both.x, "y": both.y, "loss": both.loss, "apart": both.apart, "cosine": both.cosine,
            **{
                name: {"path": path, "explained": share}
                for name, path, share in zip(("random", "pretrained"), both.paths, both.explained, strict=True)
            },
        },
    }  # fmt: skip


def _surface(found: Landscape) -> dict[str, Any]:
    return {name: getattr(found, name) for name in ("x", "y", "loss", "path", "explained")}


def lines(seen: Seen, of: str = "") -> list[str]:
    """The maps as text; `of` is set before each line under the table, to say whose maps they are."""
    from headstart.explain.see import gap_text

    checked = any(view.sanity for view in seen.views)
    head = ["image", "output", "class", "probability", "map", "peak (x, y)"]
    head += ["random weights", "deletion", "insertion"] if checked else []
    facts = seen.to_dict()
    rows = [
        [image["path"], *_row(view, method, at)]
        for at, image in enumerate(facts["images"])
        for view in seen.views
        for method in view.maps
    ]
    said = table(head, rows, right=(3, 6, 7, 8))
    for view in seen.views:
        name = f"{of}{printable(view.output.name)}, " if len(seen.views) > 1 else of
        for method, maps in view.maps.items():
            if maps.gap is not None:
                most = gap_text(float(maps.gap.max()))
                said.append(f"{name}{method}: what the maps miss of the difference of scores: at most {most}")
            if method in view.sanity:
                words = view.sanity[method].words
                said.append(f"{name}{method}: correlation with random weights {words}")
    said += [
        f"left out: {printable(each['path'])}: {printable(each['reason'])}" for each in facts["unreadable"]
    ]
    return said


def _row(view: View, method: str, at: int) -> list[str]:
    from headstart.explain.see import peak

    top = peak(view.maps[method].values[at])
    row = [
        view.output.name, view.name(at), f"{100 * view.probability(at):.1f} %", method,
        "none" if top is None else f"{100 * top[1]:.0f} %, {100 * top[0]:.0f} %",
    ]  # fmt: skip
    if method in view.sanity:
        scores = view.faithful[method].scores()
        row += [
            view.randomised(method, at),
            *(f"{scores[name][at]:.2f}" for name in ("deletion", "insertion")),
        ]
    return row


def beside_lines(seen: Seen) -> list[str]:
    """The maps of the second model as text, under its name."""
    name = printable(seen.target.name)
    return [f"beside: {name}", *lines(seen, f"{name}: ")]


def extra(parts: Parts, options: ExplainOptions) -> list[str]:
    """What stands beside the maps, as text."""
    said = []
    for output, change in parts.changes.items():
        same = ", ".join(f"{name} {value:.2f}" for name, value in change.same_layer().items())
        of = f"{printable(output)}: " if output else ""
        said.append(f"{of}CKA with {printable(str(options.beside))}, layer by layer: {same}")
    if parts.starts is not None:
        bad, good = parts.starts.random[0], parts.starts.pretrained[0]
        halved = ["never" if path.halved is None else str(path.halved) for path in (bad, good)]
        said.append(
            f"loss after {options.landscape_steps} steps: {bad.losses[-1]:.3f} from random, {good.losses[-1]:.3f} from "
            f"pretrained; steps until it was halved: {halved[0]} and {halved[1]}"
        )
    if options.html:
        said.append(f"page: {printable(options.html)}")
    return said
