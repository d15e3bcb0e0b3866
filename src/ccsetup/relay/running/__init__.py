"""The relay as a process: started, told what to do, and ended."""
