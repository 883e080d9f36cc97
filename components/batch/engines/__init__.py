"""Ways to spread a shard's images over processors."""
