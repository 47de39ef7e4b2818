"""Where an index lies, as a person writes it: a folder, `faiss:PATH`, `milvus:URI#NAME` or `postgres://HOST/DB#NAME`.

A password never stands in an address, so it can be printed: it comes from the environment.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from headstart.base.errors import BadOptions, DataError, UnknownName
from headstart.features.stores.contract import EXACT_ROWS, VectorStore
from headstart.features.stores.embedded import MEMORY_GB, EmbeddedStore

KINDS = ("faiss", "milvus", "postgres")
SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):(.*)", re.DOTALL)
NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,47}")
DEFAULT_NAME = "headstart"
SECRET = re.compile(r"(?i)(password|passwd|pwd|token|secret)\s*=")
ENVIRONMENT = {
    "postgres": "HEADSTART_STORE_PASSWORD (or PGPASSWORD)",
    "milvus": "HEADSTART_STORE_TOKEN",
}
FORMS = {
    "faiss": "faiss:FOLDER",
    "milvus": "milvus:FILE.db, milvus:http://HOST:19530 or milvus:https://HOST, with #NAME at the end or without",
    "postgres": "postgres://USER@HOST/DATABASE, with #NAME at the end or without",
}


@dataclass(frozen=True)
class Address:
    """A parsed address.

    Attributes
    ----------
    kind : {"faiss", "milvus", "postgres"}
    place : str
        Folder, Milvus URI, or PostgreSQL URL.
    name : str
        Of the index in a database; empty for a folder.
    """

    kind: str
    place: str
    name: str = ""

    def __str__(self) -> str:
        if self.kind == "faiss":
            return self.place
        lead = "" if self.kind == "postgres" else f"{self.kind}:"
        return f"{lead}{self.place}#{self.name}"


def parse_address(text: str | Path | Address) -> Address:
    """Read an address.

    Raises
    ------
    BadOptions
        It holds a password (which is not repeated), or cannot be read.
    UnknownName
        There is no such kind of store.

    Examples
    --------
    >>> parse_address("photos.index")
    Address(kind='faiss', place='photos.index', name='')
    >>> str(parse_address("postgres://me@db.example/photos#clothes"))
    'postgres://me@db.example/photos#clothes'
    """
    if isinstance(text, Address):
        return text
    match = None if isinstance(text, Path) else SCHEME.fullmatch(text)
    if match is None or (match[1].lower() not in (*KINDS, "postgresql") and Path(str(text)).exists()):
        return Address("faiss", str(text))
    kind, rest = match[1].lower(), match[2]
    if kind not in (*KINDS, "postgresql"):
        raise UnknownName(
            "kind of store", match[1], KINDS, f"A folder of that name is ./{match[1]}:..., see --store"
        )
    if kind == "faiss":
        if not rest:
            raise _wrong("faiss")
        return Address("faiss", rest)
    return _milvus(rest) if kind == "milvus" else _postgres(rest)


def open_store(
    address: str | Path | Address, *, create: bool = False, exact_rows: int = EXACT_ROWS,
    memory_gb: float = MEMORY_GB,
) -> VectorStore:  # fmt: skip
    """A handle to the store at an address.

    Parameters
    ----------
    create : bool
        There may be no index yet.
    exact_rows : int
        Above it, search is approximate.
    memory_gb : float
        Gigabytes that an approximate index in a folder may take.

    Raises
    ------
    DataError
        There is no index (without `create`), it is damaged, or the database cannot be reached.
    BadOptions, UnknownName, MissingPackage
    """
    where = parse_address(address)
    store: VectorStore
    if where.kind == "faiss":
        if not create and not (Path(where.place) / "card.json").is_file():
            raise DataError(f"{where}: no index; make one with headstart index DATA --out {where}")
        return EmbeddedStore(where.place, exact_rows=exact_rows, memory_gb=memory_gb)
    if where.kind == "milvus":
        from headstart.features.stores.milvus import MilvusStore

        store = MilvusStore(where.place, where.name, create=create, exact_rows=exact_rows)
    else:
        from headstart.features.stores.postgres import PostgresStore

        store = PostgresStore(where.place, where.name, exact_rows=exact_rows)
    if not create and not store.card:
        raise DataError(f"{where}: no index; make one with headstart index DATA --store '{where}'")
    return store


def _milvus(rest: str) -> Address:
    _refuse_password(rest, "milvus")
    place, name = _named(rest, "milvus")
    if re.match(r"https?://", place):
        _check_url(place, "milvus")
    elif "://" in place or not place.endswith(".db") or place == ".db":
        raise _wrong("milvus")
    return Address("milvus", place, name)


def _postgres(rest: str) -> Address:
    _refuse_password(rest, "postgres")
    url = re.sub(r"^(postgres(ql)?:)?//", "postgres://", rest)
    place, name = _named(url, "postgres")
    if not place.startswith("postgres://"):
        raise _wrong("postgres")
    _check_url(place, "postgres")
    return Address("postgres", place, name)


def _named(text: str, kind: str) -> tuple[str, str]:
    place, mark, name = text.partition("#")
    if mark and not NAME.fullmatch(name):
        raise BadOptions(
            [
                f"store: the name of an index in {kind} has 1 to 48 letters a-z, digits and underscores and begins "
                "with a letter; it stands after the '#'"
            ]
        )
    return place, name or DEFAULT_NAME


def _check_url(place: str, kind: str) -> None:
    try:
        parts = urlsplit(place)
        _ = parts.port
    except ValueError:
        raise _wrong(kind) from None
    if (kind == "milvus" and not parts.hostname) or re.search(r"\s", place):
        raise _wrong(kind)


def _refuse_password(text: str, kind: str) -> None:
    """Nothing of the text is repeated: it may be the password."""
    plain = unquote(text)
    user = text.rpartition("@")[0].rpartition("//")[2] if "//" in text else text.rpartition("@")[0]
    if ":" in user or SECRET.search(plain):
        raise BadOptions(
            [
                f"store: a password in an address would stand in files and lists of processes; leave it out and set "
                f"{ENVIRONMENT[kind]} in the environment"
            ]
        )


def _wrong(kind: str) -> BadOptions:
    """The text is not repeated: it may hold what should not be printed."""
    return BadOptions([f"store: expected {FORMS[kind]}; the address cannot be read as that"])
