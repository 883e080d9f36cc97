"""One run, one model: the champion is resolved once and checked; its predecessor stands in if it cannot be trusted."""

from __future__ import annotations

from dataclasses import dataclass

from components.detection.bundle import Bundle, load_cascade
from components.detection.onnx_runtime import Device
from components.detection.sanity import check_sanity
from components.detection.shipped import shipped_files
from components.errors import ModelError, StreetveilError
from components.registry.models import CHAMPION, PREVIOUS, Registry
from components.settings import Params


@dataclass(frozen=True, slots=True)
class Champion:
    """The model of one run.

    Attributes:
        bundle: its verified files.
        fallback_reason: why this is @previous and not @champion; None if all is well.
    """

    bundle: Bundle
    fallback_reason: str | None = None


def bootstrap(registry: Registry) -> str | None:
    """Register the shipped model as version 1 and champion, unless the registry has a model already.

    Returns:
        The new version, or None if there was nothing to do.
    """
    if not registry.is_empty():
        return None
    return registry.register(
        shipped_files(),
        alias=CHAMPION,
        description="Shipped: our own detector and verifier; CenterFace and platedet look again at what is rejected.",
    )


def resolve_champion(registry: Registry, params: Params, region_name: str | None, device: Device = "cpu") -> Champion:
    """The model for one run: @champion, or @previous if that fails its checks.

    Checked are presence and hash of every file, shape and finiteness of the output, and the sanity pictures.

    Raises:
        StreetveilError: neither can be used; nothing may be published.
    """
    try:
        return Champion(_checked(registry, CHAMPION, params, region_name, device))
    except StreetveilError as error:
        reason = str(error)
    try:
        return Champion(_checked(registry, PREVIOUS, params, region_name, device), fallback_reason=reason)
    except StreetveilError as error:
        raise ModelError(
            f"no usable model, nothing is published. @{CHAMPION}: {reason}. @{PREVIOUS}: {error}. "
            "Register a sound version and point @champion at it"
        ) from error


def _checked(registry: Registry, alias: str, params: Params, region_name: str | None, device: Device) -> Bundle:
    bundle = registry.bundle(alias)
    cascade = load_cascade(bundle, params.detection, device)
    check_sanity(cascade, params.region(region_name)[1], params.reading)
    return bundle
