"""Views of the records for other programs; pure functions over events that the caller passes."""
