"""Requests that TensorFlow Serving recorded for warm-up, read without TensorFlow."""
