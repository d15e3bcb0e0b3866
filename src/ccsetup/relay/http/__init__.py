"""The relay's own HTTP: server, client, and how connections are made."""
