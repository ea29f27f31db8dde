"""What authors of plugins build with: a checkpoint's weights set against its config.json, a classifier as it is saved."""
