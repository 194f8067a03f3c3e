"""The protocol of the literature: add known noise, remove it, compare with the clean pictures."""
