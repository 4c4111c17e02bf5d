"""Trial to page and files: the PDF a patient holds, and exports that other programs read."""
