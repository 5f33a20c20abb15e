"""The only place that imports boto3: one adapter for each port of the rules."""
