"""What each function does, one file each: rules, storage and AWS brought together."""
