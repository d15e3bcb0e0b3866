"""A client that does not exist, to show what a new one needs: this folder, and a line that registers it."""
