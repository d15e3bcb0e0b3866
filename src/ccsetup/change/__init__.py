"""What a command changes: from requests and saved profiles to a draft of every file."""
