"""Where people and stages meet: the command line and the pipeline."""
