"""An attack on what is hidden: whether somebody can still tell whose face was there."""
