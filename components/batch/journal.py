"""What a shard under way has done so far: attempts, counted before the decode, and finished rows.

One small file an image, so that whatever dies, and whenever, costs at most the images that were in its hands.
The journal of a shard goes when its manifest stands.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Any

from components.batch.manifest import ImageRow
from components.batch.storage import STATE_FOLDER, Storage

_JOURNAL = f"{STATE_FOLDER}/journal"


@dataclass(frozen=True, slots=True)
class Journal:
    """The journal of one shard."""

    storage: Storage
    shard_id: str

    def begin(self, path: str) -> int:
        """Count an attempt on an image.

        Returns:
            Which attempt this is, from 1.
        """
        attempt = self._entry(self._file(path)).get("attempts", 0) + 1
        self._write(path, attempt, None)
        return attempt

    def take_back(self, path: str, attempt: int) -> None:
        """Forget an attempt that failed through no fault of the image."""
        if attempt > 1:
            self._write(path, attempt - 1, None)
        else:
            self.storage.delete(self._file(path))

    def end(self, row: ImageRow, durable: bool = False) -> None:
        """Keep a finished row; one that stands before its output must survive a power cut as the output does."""
        self._write(row.path, row.attempts, row.to_dict(), durable)

    def of(self, path: str) -> tuple[int, ImageRow | None]:
        """An image's attempts, 0 if it was never begun, and its row if it is finished."""
        entry = self._entry(self._file(path))
        row = entry.get("row")
        return entry.get("attempts", 0), ImageRow.from_dict(row) if row else None

    def rows(self) -> dict[str, ImageRow]:
        """Finished rows by path."""
        return {path: ImageRow.from_dict(row) for path, (_, row) in self._entries().items() if row}

    def attempts(self) -> dict[str, int]:
        """Images that were begun and not finished, with the number of attempts: suspects."""
        return {path: attempts for path, (attempts, row) in self._entries().items() if not row}

    def clear(self) -> None:
        """Forget the shard; its manifest stands."""
        for file in list(self.storage.list(f"{_JOURNAL}/{self.shard_id}")):
            self.storage.delete(file)

    @staticmethod
    def shard_ids(storage: Storage) -> set[str]:
        """The shards that have a journal."""
        return {file.removeprefix(f"{_JOURNAL}/").split("/")[0] for file in storage.list(_JOURNAL)}

    def _entries(self) -> dict[str, tuple[int, dict[str, Any] | None]]:
        entries = (self._entry(file) for file in self.storage.list(f"{_JOURNAL}/{self.shard_id}"))
        return {entry["path"]: (entry["attempts"], entry["row"]) for entry in entries if entry}

    def _entry(self, file: str) -> dict[str, Any]:
        try:
            return json.loads(self.storage.read(file))
        except (FileNotFoundError, ValueError):  # never begun, or torn by a power cut: begin again
            return {}

    def _write(self, path: str, attempts: int, row: dict[str, Any] | None, durable: bool = False) -> None:
        entry = json.dumps({"path": path, "attempts": attempts, "row": row})
        self.storage.write(self._file(path), entry.encode(), durable=durable)

    def _file(self, path: str) -> str:
        return f"{_JOURNAL}/{self.shard_id}/{hashlib.sha256(path.encode()).hexdigest()[:24]}.json"
