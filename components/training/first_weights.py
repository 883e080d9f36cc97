"""A published network's weights as numbers, so that nothing after this step has to trust its file.

    python -m components.training.first_weights CHECKPOINT.pt WEIGHTS.npz

Checkpoints of the training library are pickles, which run code when they are read. So this is done once, by hand, in a
process of its own, with a file whose origin is known; what it writes holds numbers only.
"""

from __future__ import annotations

import argparse
import hashlib
from pathlib import Path

from components.training.checkpoint import arrays_of, write_arrays
from components.training.yolo.network import unpickled_weights


def main() -> None:
    """Convert one file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("weights", type=Path)
    arguments = parser.parse_args()
    content = arguments.checkpoint.read_bytes()
    facts = {"from": arguments.checkpoint.name, "sha256": hashlib.sha256(content).hexdigest()}
    write_arrays(arguments.weights, arrays_of(unpickled_weights(arguments.checkpoint)), facts)


if __name__ == "__main__":
    main()
