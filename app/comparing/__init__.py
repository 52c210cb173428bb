"""Parts of the views that compare runs."""
