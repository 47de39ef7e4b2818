"""What the networks are made of: a table of stages each, from the summaries that the study kept."""

from __future__ import annotations

from typing import Any

from headstart.report.document import Column, Entry, Row, Section, Table
from headstart.report.wording import DASH, count
from headstart.study.records import StudyRecord

MILLION = 1e6


def networks_section(record: StudyRecord) -> Section | None:
    """One table for each backbone and size; None where the study kept no summary."""
    if not record.networks:
        return None
    tables = tuple(_table(f"network-{at}", found) for at, found in enumerate(record.networks.values()))
    return Section("networks", "The networks", tables)


def _table(id: str, found: dict[str, Any]) -> Table:
    columns = (
        Column("stage"),
        Column("last layer"),
        Column("output", "height x width x channels of one image", numeric=True),
        Column("layers", numeric=True),
        Column("parameters", numeric=True),
        Column("MACs", "multiply-accumulates for one image, in millions", numeric=True),
    )
    rows = [
        Row((
            Entry(each["name"]), Entry(each["last"]), Entry(_shape(each["output"])),
            Entry(f"{each['n_layers']:,}", each["n_layers"]), Entry(f"{each['n_parameters']:,}", each["n_parameters"]),
            Entry(f"{each['macs'] / MILLION:,.1f}", each["macs"]),
        ))
        for each in found["stages"]
    ]  # fmt: skip
    height, width, _ = found["input"]
    field = found["receptive_field"]["pixels"]
    sees = f", receptive field up to {field[0]} x {field[1]} pixels" if field else ""
    caption = (
        f"{found['network']} at {height} x {width} pixels, without its own classifier: "
        f"{count(found['n_parameters'], 'parameter')}, {found['macs'] / MILLION:,.0f} million multiply-accumulates and "
        f"{found['activation_bytes'] / MILLION:,.0f} MB of activations for one image{sees}. "
        "“headstart summary” lists every layer."
    )
    return Table(id, caption, columns, tuple(rows), folded=f"{found['network']} at {height} x {width}")


def _shape(output: list[int] | None) -> str:
    return " x ".join(f"{each}" for each in output) if output else DASH
