"""The quarantine desk: a person looks at a picture that was not published, draws, and publishes or discards it."""
