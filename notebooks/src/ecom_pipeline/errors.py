"""What goes wrong in the pipeline itself."""


class PipelineError(Exception):
    """A failure that says what happened, where, and what to do next."""
