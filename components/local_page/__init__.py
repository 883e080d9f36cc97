"""Pages for this machine alone: one server for all of them, and what they share in the browser."""
