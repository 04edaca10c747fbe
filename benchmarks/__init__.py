"""What a prediction costs with Salver, beside a plain FastAPI service and the model alone; see docs/benchmarks.md."""
