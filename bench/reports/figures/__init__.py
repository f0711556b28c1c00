"""Pictures, one in each file. To add one, add a file; a picture of a study goes into `study/`, where it is found."""
