"""Text and HTML in and out. No decisions."""
