"""Files that a visitor uploads: taken in under names of our own, checked, and gone when the visit is over.

Nothing about an upload is believed. Its name never becomes a path, only known files are kept, an archive is looked at
before a byte of it is unpacked and counted while it is, and whatever is refused leaves nothing behind. No torch.
"""

from bidora.uploads.limits import ACCEPTED, UNPACKED_LIMIT, Upload, shown
from bidora.uploads.receiving import Received, receive, remove, session_folder
from bidora.uploads.settings import checked_settings

__all__ = [
    "ACCEPTED",
    "UNPACKED_LIMIT",
    "Received",
    "Upload",
    "checked_settings",
    "receive",
    "remove",
    "session_folder",
    "shown",
]
