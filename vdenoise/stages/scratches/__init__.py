"""The slot ``scratches``: lines worn into a film."""
