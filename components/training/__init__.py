"""Training of stage 1, recall first: the loss, the trainer, and which epoch's weights are kept."""
