"""What users call: the engine, the report and the run folder put together."""
