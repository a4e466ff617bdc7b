"""Reading: messages with their timelines, lists of them, and one event with its raw body."""
