"""As TorchServe has it, for imports."""
