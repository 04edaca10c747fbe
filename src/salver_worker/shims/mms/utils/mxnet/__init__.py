"""What services of MMS 0.4 import to read pictures and rank outputs. Needs mxnet."""
