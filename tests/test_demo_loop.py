"""The demo of the loop stands apart from what it shows."""

from __future__ import annotations

from pathlib import Path

import yaml

from components.dataset.demo_month import Month
from components.settings import PROJECT_ROOT, Params
from flows.demo_project import Real, real_params, small_chain, small_params


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
