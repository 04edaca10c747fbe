"""What handlers import to answer in parts."""
