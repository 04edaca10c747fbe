"""The names that handlers import from TorchServe, without what needs PyTorch."""
