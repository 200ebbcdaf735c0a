"""Extensions of the Dashboard."""
