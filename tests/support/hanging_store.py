"""A folder store whose deletions hang after some files, for tests that kill a process in the middle of them."""

from __future__ import annotations

import time
from multiprocessing.connection import Connection

from servicekit.store.folder_store import FolderStore


class StoreThatHangs(FolderStore):
    """Removes ``left`` files, reports that over ``output``, and hangs."""

    output: Connection
    left: int

    def delete(self, key: str) -> None:
        """As that of a folder store, while files are left."""
        if self.left == 0:
            self.output.send("hangs")
            time.sleep(600)
        self.left -= 1
        super().delete(key)
