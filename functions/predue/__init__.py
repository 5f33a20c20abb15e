"""The rules of predue, in the order of its pipeline; nothing here imports AWS, and `aws/` holds what does."""
