"""Reading: messages with their timelines, listings, and one event with its raw body."""
