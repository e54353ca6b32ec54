"""What all trainers share: data, loop, checkpoints, saving."""
