"""The ways of hiding that are attacked: the product's own, what it would be with less, and its peers'."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from benchmarks.privacy import peers
from components.evaluation.reidentification.hiding import Method, Shape, by_rule, rectangle
from components.evaluation.reidentification.photograph import Box
from components.imaging.reading import Pixels
from components.settings import Params

CLEAR = "not hidden"


def methods(params: Params) -> list[Method]:
    """Everything that is compared, ours first."""
    strict = params.regions[params.default_region]
    growth = strict.face.dilation
    plain_cells = strict.obfuscation.model_copy(update={"cell_contrast": 1.0, "accept_reidentification": True})
    return [
        *(by_rule(f"ours, {name}", "ours", r.obfuscation, r.face.dilation) for name, r in params.regions.items()),
        *(
            by_rule(f"ours, {how}", "ours", strict.obfuscation.model_copy(update={"method": how}), growth)
            for how in ("mosaic", "solid")
        ),
        by_rule("ours, contrast 0.1", "without", plain_cells.model_copy(update={"cell_contrast": 0.1}), growth),
        by_rule("ours, contrast 1", "without", plain_cells, growth),
        _plain("5×5 cell means alone", "without", partial(peers.cell_means, cells=5)),
        _plain(CLEAR, "plain", lambda pixels, area: pixels),
        _plain("Gaussian σ 25", "plain", partial(peers.gaussian, sigma_px=25)),
        _plain("Gaussian σ 30", "plain", partial(peers.gaussian, sigma_px=30)),
        _plain("EgoBlur", "peer", peers.egoblur, shape=peers.ellipse),
        _plain("deface, blur", "peer", peers.deface_blur, peers.DEFACE_GROWTH, peers.ellipse),
        _plain("deface, mosaic", "peer", peers.deface_mosaic, peers.DEFACE_GROWTH),
        _plain("sgblur", "peer", peers.sgblur),
        _plain("understand.ai", "peer", peers.anonymizer),
    ]


def _plain(
    name: str,
    group: str,
    hide: Callable[[Pixels, Box], Pixels],
    growth: float = 0.0,
    shape: Shape = rectangle,
) -> Method:
    return Method(name, group, lambda pixels, area, noise: hide(pixels, area), growth, shape=shape)
