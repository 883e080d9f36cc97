"""The demo of the loop stands apart from what it shows."""

from __future__ import annotations

from pathlib import Path

import yaml
from rich.console import Console

from components.dataset.demo_month import Month
from components.registry.models import CHAMPION, Registry
from components.registry.review import Provenance, register_challenger, show
from components.settings import PROJECT_ROOT, Params
from flows import demo_people as people
from flows.demo_project import Real, real_params, small_chain, small_params
from tests.registry.verdicts import verdict
from tests.toy_model import toy_bundle


def test_the_demo_has_valid_settings_of_its_own_and_a_shorter_chain() -> None:
    """Its model has another name than the real one, its settings are known ones, and no stage needs what it skips."""
    shipped = yaml.safe_load((PROJECT_ROOT / "params.yaml").read_text())
    name = shipped["registry"]["model_name"]
    params = Params.model_validate(small_params(shipped))
    assert params.registry.model_name != name
    assert params.retraining.target == "bias@rendered"
    assert params.of_profile("rendered").training.epochs == 1
    stages = small_chain(yaml.safe_load((PROJECT_ROOT / "dvc.yaml").read_text()))["stages"]
    evaluate = stages["evaluate"]["do"]
    assert "--without-peers" in evaluate["cmd"]
    assert "plate_slices" not in yaml.safe_dump(evaluate)
    assert "--ablate" not in stages["train_stage2"]["do"]["cmd"]


def test_the_demo_on_real_pictures_has_the_gate_as_it_is() -> None:
    """Its budget is small, nothing that people label there joins the test part, and no bound of the gate is another."""
    shipped = yaml.safe_load((PROJECT_ROOT / "params.yaml").read_text())
    gate = Params.model_validate(shipped).gate
    name = shipped["registry"]["model_name"]
    month = Month(Params.model_validate(shipped).dataset.sets, 200, (566, 566), 72)
    params = Params.model_validate(real_params(shipped, Real(Path("pictures"), 200, None, 1, broken=False), month))
    assert params.gate == gate
    assert params.registry.model_name not in (name, Params.model_validate(small_params(shipped)).registry.model_name)
    assert params.of_profile(params.retraining.profile).training.epochs == 1
    assert params.dataset.sets == month.sets
    assert all(one.shares is not None and one.shares.test == 0 for one in params.dataset.own_sets)


def test_an_override_of_the_demo_is_a_persons_word(tmp_path: Path) -> None:
    """What the gate has stopped becomes champion only by the scripted reviewer's name and the given reason, stored."""
    registry = Registry("demo", f"sqlite:///{tmp_path}/mlflow.db", str(tmp_path / "mlruns"))
    files = toy_bundle(tmp_path).files
    registry.register(files, alias=CHAMPION)
    (tmp_path / "report.html").write_text("<html></html>")
    made_of = Provenance("data-1", "code-1", "params-1")
    version = register_challenger(
        registry, files, verdict(recall=0.8), made_of, tmp_path / "report.html", "a loop of the demo"
    )
    people.override(Console(quiet=True), registry, "to see it promoted")
    stored = show(registry, version)
    assert registry.aliases()[CHAMPION] == version
    assert (stored.reviewer, stored.reason) == (people.REVIEWER, "to see it promoted")
    assert "the gate failed" in str(stored.override)
