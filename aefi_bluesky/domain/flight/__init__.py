"""What a flown spec compiles to: lines, frames, and how long they take."""
