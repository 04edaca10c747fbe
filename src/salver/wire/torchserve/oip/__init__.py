"""TorchServe's Open Inference service over gRPC, in its own package of names: `ts_open_inference_protocol` opens it."""
