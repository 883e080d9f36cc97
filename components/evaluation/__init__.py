"""How much was hidden, and how much too much: pure functions over labels and blurred areas."""
