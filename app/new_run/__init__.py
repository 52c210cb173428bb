"""Parts of the view "New run": what is compared, own tables, what will happen, the queue."""
