"""One run in the view Runs: header, buttons, and one file per tab."""
