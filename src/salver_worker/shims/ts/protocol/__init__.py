"""What older handlers import to answer in parts."""
