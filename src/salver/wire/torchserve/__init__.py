"""The protocols of Multi Model Server and TorchServe, which share their ways with HTTP, forms and errors."""
