"""Tests, in the rooms of the code they test; `behaviour/` holds the promises. Each says what it proves."""
