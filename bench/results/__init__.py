"""The results folder: records and checkpoints of cells, and what keeps several processes from damaging them."""
