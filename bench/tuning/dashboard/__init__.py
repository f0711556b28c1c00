"""Studies in optuna-dashboard: notes, figures and artifacts of a study's page, and the server."""
