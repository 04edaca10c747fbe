"""TorchServe's package of the same name."""
