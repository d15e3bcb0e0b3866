"""The command line.  typer, rich and questionary are used here and nowhere else."""
