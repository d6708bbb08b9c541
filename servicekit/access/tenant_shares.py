"""Places that all tenants share, such as threads and uploads at once: no tenant can hold all of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from servicekit.access.caller import LOCAL_TENANT, calling_tenant


class TenantShares:
    """Counts who holds places. At most ``limit`` are held at once, and by one tenant at most half of them, rounded up.

    The tenant ``local``, the operator's own, and what no call asks for can hold all. Used by one event loop.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.of_one_tenant = (limit + 1) // 2
        self._held: Counter[str] = Counter()

    @property
    def held(self) -> int:
        """How many places are held."""
        return self._held.total()

    def has_room(self) -> bool:
        """Whether the current caller can have a place."""
        tenant = _counted_as()
        return self.held < self.limit and (tenant == LOCAL_TENANT or self._held[tenant] < self.of_one_tenant)

    @contextmanager
    def place(self) -> Iterator[None]:
        """Hold a place during the block, for the current caller, once :meth:`has_room` says that there is one."""
        tenant = _counted_as()
        self._held[tenant] += 1
        try:
            yield
        finally:
            self._held[tenant] -= 1
            if not self._held[tenant]:
                del self._held[tenant]


def _counted_as() -> str:
    return calling_tenant() or LOCAL_TENANT
