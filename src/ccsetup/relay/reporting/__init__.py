"""What the relay tells of itself: figures, usage, explanations."""
