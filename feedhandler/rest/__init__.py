"""Layer B: asks venues by REST where their streams are silent, and now and then."""
