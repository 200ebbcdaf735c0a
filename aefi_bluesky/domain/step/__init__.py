"""What a spec at rest compiles to: points, and how long they take."""
