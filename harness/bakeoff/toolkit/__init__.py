"""What authors of models build with: a checkpoint's weights set against the model that config.json describes."""
