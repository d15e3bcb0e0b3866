"""relay.yaml and what belongs to it: read, checked, written, made of other files."""
