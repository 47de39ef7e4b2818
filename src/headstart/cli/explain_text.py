"""What `explain` found, as text and as JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from headstart.cli.text import printable, table

if TYPE_CHECKING:
    from headstart.cli.explain import ExplainOptions
    from headstart.explain.see import Seen
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
        "landscape": None if starts is None else {
            name: {"losses": path.losses, "learning_rate": path.learning_rate, "explained": plane.explained}
            for name, (path, plane, _) in (("random", starts.random), ("pretrained", starts.pretrained))
        },
        "html": html,
    }  # fmt: skip


def lines(seen: Seen) -> list[str]:
    """The maps as text."""
    from headstart.explain.see import gap_text

    facts = seen.to_dict()
    rows = []
    for image in facts["images"]:
        for output, view in image["outputs"].items():
            for method, found in view["maps"].items():
                top = found["peak"]
                rows.append((
                    image["path"], output, view["class"], f"{100 * view['probability']:.1f} %", method,
                    "" if top is None else f"{100 * top[1]:.0f} %, {100 * top[0]:.0f} %",
                    _number(found.get("randomised")), _number(found.get("deletion")), _number(found.get("insertion")),
                ))  # fmt: skip
    head = (
        "image",
        "output",
        "class",
        "probability",
        "map",
        "peak (x, y)",
        "random weights",
        "deletion",
        "insertion",
    )
    said = table(head, rows, right=(3, 6, 7, 8))
    for each in facts["methods"]:
        if "gap" in each:
            said.append(
                f"{each['method']}: what the maps miss of the difference of scores: at most {gap_text(each['gap'])}"
            )
        if "randomised" in each:
            said.append(
                f"{each['method']}: correlation with random weights {_number(each['randomised'])}, {each['verdict']}"
            )
    said += [
        f"left out: {printable(each['path'])}: {printable(each['reason'])}" for each in facts["unreadable"]
    ]
    return said


def extra(parts: Parts, options: ExplainOptions) -> list[str]:
    """What stands beside the maps, as text."""
    said = []
    for output, change in parts.changes.items():
        same = ", ".join(f"{name} {value:.2f}" for name, value in change.same_layer().items())
        of = f"{printable(output)}: " if output else ""
        said.append(f"{of}CKA with {printable(str(options.beside))}, layer by layer: {same}")
    if parts.starts is not None:
        ends = [path.losses[-1] for path, _, _ in (parts.starts.random, parts.starts.pretrained)]
        said.append(
            f"loss after {options.landscape_steps} steps: {ends[0]:.3f} from random, {ends[1]:.3f} from pretrained"
        )
    if options.html:
        said.append(f"page: {printable(options.html)}")
    return said


def _number(value: float | None) -> str:
    return "" if value is None or value != value else f"{value:.2f}"
