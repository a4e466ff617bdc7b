"""Skycore on AWS: the domain package that every function shares."""
