"""From a trained detector to the one that is shipped: fewer channels, 8 bits, a teacher, and what each is worth."""
