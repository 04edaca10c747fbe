"""What handlers import to count."""
