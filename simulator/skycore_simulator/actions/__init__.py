"""The actions. Every module has HANDLERS: the name of an action → function(simulator, call)."""
