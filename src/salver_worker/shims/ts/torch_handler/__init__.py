"""TorchServe's handlers, where PyTorch is installed."""
