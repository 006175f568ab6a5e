"""What tests of all kinds share: what a machine must have, what an instance leaves behind, a real dockerd, images."""
