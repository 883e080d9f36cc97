"""`attack.json`: every number of an attack, part by part, so that a long attack can be made in several runs."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

_KEYS = ("method", "height_px", "attacker", "gallery", "pictures")

Row = dict[str, Any]


def read_attack(file: Path) -> dict[str, Any]:
    """What earlier runs have found; empty where there is none."""
    return json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}


def add_part(file: Path, part: str, rows: Iterable[Any], facts: Row) -> None:
    """Write the rows of a part; a row that says the same of something new takes the place of the old one."""
    new = [plain(row) for row in rows]  # first, as it may take hours
    attack = read_attack(file)
    names = {tuple(row.get(key) for key in _KEYS) for row in new}
    replace = part not in ("faces", "plates")
    kept = [] if replace else [r for r in attack.get(part, []) if tuple(r.get(key) for key in _KEYS) not in names]
    attack[part] = kept + new
    attack.setdefault("facts", {})[part] = facts
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(attack, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def plain(row: Any) -> Row:
    """A dataclass as JSON knows it; a rate also says whether the promise holds."""
    fields = dataclasses.asdict(row)
    for field in dataclasses.fields(row):
        value = getattr(row, field.name)
        if hasattr(value, "holds"):
            fields[field.name]["holds"] = bool(value.holds)
    return fields
