"""What shows a flight to people."""
