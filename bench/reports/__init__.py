"""Pictures, tables and documents, made from data that callers hand in. Nothing here prints."""
