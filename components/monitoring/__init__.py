"""What becomes of the pictures and the model from day to day."""
