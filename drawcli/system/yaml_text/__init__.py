"""Changes of hand-written YAML files as text."""
