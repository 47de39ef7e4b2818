"""One writer of an index in Milvus, which has no locks: a claim is written first, then every claim is read.

Of two writers at least one sees the other's claim and withdraws (Lamport's bakery, 1974, without its queue). A
claim of a process that is gone, or of a day ago, is taken away.
"""

from __future__ import annotations

import json
import os
import secrets
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psutil

from headstart.base.errors import Busy

SECONDS_HELD = 24 * 3600.0


@contextmanager
def claimed(client: Any, collection: str, address: str) -> Iterator[int]:
    """Be the one writer; gives the number of the claim, which stands in the row of that id.

    Raises
    ------
    Busy
        Another one is writing.
    """
    own = -1 - secrets.randbelow(2**62)
    told = {"host": socket.gethostname(), "pid": os.getpid(), "since": time.time()}
    client.insert(collection, [{"id": own, "text": json.dumps(told), "vector": [0.0, 0.0]}])
    try:
        for row in client.query(collection, filter="id < 0", output_fields=["id", "text"], limit=1000):
            if row["id"] == own:
                continue
            other = json.loads(row["text"])
            if not _gone(other):
                raise Busy(
                    f"{address}: process {other['pid']} on {other['host']} is writing to it; wait for it or choose "
                    "another name"
                )
            client.delete(collection, ids=[row["id"]])
        yield own
    finally:
        client.delete(collection, ids=[own])


def _gone(claim: dict[str, Any]) -> bool:
    if time.time() - float(claim["since"]) > SECONDS_HELD:
        return True
    return claim["host"] == socket.gethostname() and not psutil.pid_exists(int(claim["pid"]))
