"""What is inside a learner: computed from its scores of all pairs and from its embedding, not from its weights."""
