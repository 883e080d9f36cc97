"""One monthly loop under way: where it is kept, what it is of, and what it has come to so far."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from components.batch.storage import STATE_FOLDER
from components.dataset.labelling import desk
from components.detection.bundle import ModelFile
from components.evaluation.report.files import VERDICT
from components.evaluation.verdict import Verdict
from components.loop_journal import LoopJournal
from components.registry.models import Registry
from components.settings import Params


@dataclass(frozen=True, slots=True)
class Loop:
    """One loop under way.

    Attributes:
        journal: what is done.
        project: the folder with `dvc.yaml` and `data`.
        params: all settings.
        registry: of models.
        trained: the networks that a folder of the chain holds.
        on_line: told of each line of the chain.
    """

    journal: LoopJournal
    project: Path
    params: Params
    registry: Registry
    trained: Callable[[Path], tuple[ModelFile, ...]]
    on_line: Callable[[str], None] = lambda line: None

    @property
    def chain(self) -> Path:
        """Where the chain leaves what it makes."""
        return self.project / "data" / "chain" / self.params.retraining.profile

    @property
    def evaluation(self) -> Path:
        """The folder of the report."""
        return self.journal.folder / "evaluation"

    def published(self) -> list[Path]:
        """The latest published days, the latest last."""
        settings = self.params.retraining
        found = sorted(self.project.glob(settings.published.replace("{day}", "*")))
        return [path for path in found if (path / STATE_FOLDER).is_dir()][-settings.sampled_days :]


def desk_of(loop: Loop) -> Path | None:
    """Where the loop's sample waits for labels; None if none was drawn."""
    sample = (loop.journal.result("sample") or {}).get("sample")
    return desk.desk_of(sample, loop.params.labelling, loop.project) if sample else None


def version_of(loop: Loop) -> str:
    """The version that the loop has registered."""
    return str((loop.journal.result("register") or {})["version"])


def verdict_of(loop: Loop) -> Verdict:
    """The gate's word on what the loop has made."""
    return Verdict.from_json((loop.evaluation / VERDICT).read_text(encoding="utf-8"))
