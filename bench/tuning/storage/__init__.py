"""Where studies are stored, and which process works on which trial: journal files and databases."""
