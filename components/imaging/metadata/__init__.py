"""Metadata by allow-list: read what may be published, write it anew, and look for what must not be there."""
