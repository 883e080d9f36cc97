"""Which region a picture is treated by: by its folder, by where it was taken, and the strictest one in doubt."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum
from fnmatch import fnmatchcase

import cv2
import numpy as np

from components.imaging.metadata.location import Location
from components.settings import Params, PolicyRule

_KM_PER_DEGREE = 111.2
_LEAST_COSINE = 0.01  # towards the poles, meridians are one place; a degree still has a width there


class ChosenBy(StrEnum):
    """What has decided on a region."""

    GIVEN = "given"  # the run was told one
    FOLDER = "folder"
    PLACE = "place"
    DEFAULT = "default"
    DOUBT = "doubt"  # several were possible: the strictest


@dataclass(frozen=True, slots=True)
class Choice:
    """A region's name, and what has decided on it."""

    region: str
    by: ChosenBy


def choose(params: Params, path: str, location: Location | None) -> Choice:
    """The region of a picture, by the first rule of the policies that applies.

    A rule that may apply, since the place is unknown or too near to its border, leaves the picture to its region and to
    those of the rules after it at once: it gets the strictest of them.

    Args:
        params: all settings.
        path: relative to the source, with `/`; empty where there is none.
        location: where it was taken; None if that is not known.
    """
    possible, by = [], ChosenBy.DEFAULT
    for rule in params.policies.rules:
        applies = _applies(rule, path, location, params.policies.border_km)
        if applies is not False:
            possible.append(rule.region)
        if applies:
            by = ChosenBy.PLACE if rule.corners else ChosenBy.FOLDER
            break
    else:
        possible.append(params.default_region)
    return Choice(params.strictest(possible), by if len(set(possible)) == 1 else ChosenBy.DOUBT)


def _applies(rule: PolicyRule, path: str, location: Location | None, border_km: float) -> bool | None:
    """Whether a rule applies; None where nobody can say."""
    if rule.folder is not None:
        wanted, folders = rule.folder.split("/"), path.split("/")[:-1]
        return len(folders) >= len(wanted) and all(map(fnmatchcase, folders, wanted))
    if location is None:
        return None
    inside_km = inside(location, rule.corners)
    return None if abs(inside_km) <= border_km + location.error_km else inside_km > 0


def inside(location: Location, corners: tuple[tuple[float, float], ...]) -> float:
    """How far within an area a place lies, km; negative outside of it, as far as it is from it.

    Distances are those of a flat map around the place: true near to it, where a border matters.

    Args:
        location: the point.
        corners: longitude and latitude of each, degrees; longitudes may go on beyond ±180.
    """
    cosine = max(math.cos(math.radians(location.latitude)), _LEAST_COSINE)
    km_per_degree = _KM_PER_DEGREE * np.array([cosine, 1.0])  # of longitude, of latitude
    middles = ((location.longitude + turn, location.latitude) for turn in (-360, 0, 360))
    turns = ((np.array(corners) - middle) * km_per_degree for middle in middles)
    return max(cv2.pointPolygonTest(turned.astype(np.float32), (0.0, 0.0), True) for turned in turns)
