"""Salver's own REST API."""

from salver.wire.native.rest import NativeWire

__all__ = ["NativeWire"]
