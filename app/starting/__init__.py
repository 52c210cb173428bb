"""Parts of the first view."""
