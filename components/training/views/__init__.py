"""What the trainer shows the network: pieces of pictures at chosen scales, in every light, several on one canvas."""
