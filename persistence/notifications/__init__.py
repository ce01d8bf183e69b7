"""What users watch and search for, and what they are told."""
