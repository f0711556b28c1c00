"""Exports: records as tables and as runs of other tools, which are read without this project.

Each cell is taken once from all sources (`selection`). Records of a folder become rows one by one (`rows`), those of a
pack column by column (`from_pack`). Either way there are batches of rows (`batches`), which wait in a temporary file
until all columns are known (`spool`) and are then written as Parquet or CSV (`to_table`). MLflow and TensorBoard have
runs instead of rows (`runs`, `to_mlflow`, `to_tensorboard`).
"""
