"""Which upstream a request goes to, and when.  Pure."""
