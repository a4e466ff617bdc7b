"""What each action does. Every module here has HANDLERS: action → function(simulator, call)."""
