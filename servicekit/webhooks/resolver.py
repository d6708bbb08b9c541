"""Resolves names within a limit of time. The system's resolver has no such limit, and a caller can own the name's servers."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from concurrent.futures import Future

from servicekit.webhooks.target import Address, Resolve, resolve_name

RESOLVE_TIMEOUT_S = 5.0
MAX_LOOKUPS = 64


class BoundedResolver:
    """Resolves each name in a thread of its own and waits for it for at most ``timeout_s``. Safe to use from any thread.

    A lookup that takes longer goes on by itself: whoever asks for the same name meanwhile waits for it too, and at most
    ``max_lookups`` run at once, so that a resolver that hangs costs a bounded number of threads.
    """

    def __init__(
        self, resolve: Resolve = resolve_name, *, timeout_s: float = RESOLVE_TIMEOUT_S, max_lookups: int = MAX_LOOKUPS
    ) -> None:
        self._resolve = resolve
        self._timeout_s = timeout_s
        self._max_lookups = max_lookups
        self._lock = threading.Lock()
        self._running: dict[tuple[str, int], Future[Sequence[Address]]] = {}

    def __call__(self, host: str, port: int) -> Sequence[Address]:
        """The addresses. Raises OSError: TimeoutError after the limit, or at once where too many lookups run."""
        return self._lookup(host, port).result(self._timeout_s)

    def _lookup(self, host: str, port: int) -> Future[Sequence[Address]]:
        with self._lock:
            running = self._running.get((host, port))
            if running is not None:
                return running
            if len(self._running) >= self._max_lookups:
                raise TimeoutError(f"{len(self._running)} names are being resolved")
            lookup: Future[Sequence[Address]] = Future()
            try:
                name = f"resolving {host[:80]}"
                threading.Thread(target=self._run, args=(lookup, host, port), name=name, daemon=True).start()
            except RuntimeError as error:  # no room for a thread
                raise OSError(str(error)) from None
            self._running[host, port] = lookup
        return lookup

    def _run(self, lookup: Future[Sequence[Address]], host: str, port: int) -> None:
        try:
            found = self._resolve(host, port)
        except BaseException as error:  # noqa: BLE001 - raised again in the threads that wait
            self._forget(host, port)
            lookup.set_exception(error)
        else:
            self._forget(host, port)
            lookup.set_result(found)

    def _forget(self, host: str, port: int) -> None:
        """Before its answer is there: who has the answer can start the next lookup."""
        with self._lock:
            del self._running[host, port]
