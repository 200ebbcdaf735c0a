"""Everything measured about one object, and the rules for it."""
