"""How published numbers are made again: golden trajectories, and the measurements that a page quotes."""
