"""The model follows the labels: one thread fits it again whenever labels changed, and writes labels.csv."""

from __future__ import annotations

import threading
from types import TracebackType

from headstart.base.errors import HeadstartError
from headstart.dataset.session import LabelSession


class Refitter:
    """Keeps a session's model up with its labels while the block runs.

    Attributes
    ----------
    trouble : str
        Why the last fit or the last writing failed; "" where it did not.
    """

    def __init__(self, session: LabelSession) -> None:
        self.session, self.trouble = session, ""
        self._changed = threading.Condition()
        self._wanted, self._ends = False, False
        self._thread = threading.Thread(target=self._work, name="refit", daemon=True)

    def __enter__(self) -> Refitter:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._changed:
            self._ends = True
            self._changed.notify_all()
        self._thread.join(10)

    def wake(self) -> None:
        """Labels changed."""
        with self._changed:
            self._wanted = True
            self._changed.notify_all()

    def wait_past(self, version: int, seconds: float) -> None:
        """Wait until the model knows more than `version` of the labels, at most so long."""
        with self._changed:
            self._changed.wait_for(lambda: self._ends or self.session.model_version > version, seconds)

    def _work(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._wanted or self._ends)
                if self._ends:
                    return
                self._wanted = False
            self._once()
            with self._changed:
                self._changed.notify_all()

    def _once(self) -> None:
        try:
            self.session.refit()
            self.session.write_table()
            self.trouble = ""
        except (HeadstartError, ValueError, ArithmeticError, OSError) as error:
            self.trouble = " ".join(str(error).split())
