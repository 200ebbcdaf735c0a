"""What is measured, in the user's units."""
