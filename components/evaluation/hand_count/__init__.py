"""Counting by people: a random sample of what was published, a page to mark what is wrong, and the figures."""
