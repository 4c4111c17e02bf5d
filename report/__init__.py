"""A Trial in; the page for the patient and files for other programs out."""
