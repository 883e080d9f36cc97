"""From an upright picture to what is blurred in it: detectors, tiles, suppression, cascade, region rules."""
