"""How Streetveil works: detection, imaging, batch work, evaluation, registry. Nothing here knows when."""
