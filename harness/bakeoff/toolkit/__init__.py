"""What authors of plugins build with: loading checkpoints, finding a model's layers and head, optimizers, saving
classifiers."""
