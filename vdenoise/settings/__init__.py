"""What a user sets: declared once with its range, checked, and said in words."""
