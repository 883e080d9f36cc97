"""An attack on the hiding: who can still tell which face, or which plate, was there.

    python -m benchmarks.privacy --data PATH/street_privacy --out FOLDER

`FOLDER` gets numbers, tables and figures, and none of the pictures.
"""
