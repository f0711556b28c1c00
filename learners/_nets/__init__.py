"""Modules and losses that learners are made of. They know nothing of learners."""
