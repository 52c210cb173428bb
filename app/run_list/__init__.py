"""All runs in the view Runs: table, what is done with chosen runs, import, trash."""
