"""Connections to other systems: TLS."""
