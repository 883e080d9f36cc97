"""Videos and live streams: read, search, follow, hide, write."""
