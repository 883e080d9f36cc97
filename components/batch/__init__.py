"""A day of images: listed, cut into shards, blurred by workers that may die, written, verified, committed."""
