"""From a file's bytes to a published file's bytes: read strictly, hide areas for good, write cleanly, check."""
