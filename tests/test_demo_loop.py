"""The demo of the loop stands apart from what it shows."""

from __future__ import annotations

import yaml

from components.settings import PROJECT_ROOT, Params
from flows.demo_project import small_chain, small_params


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
