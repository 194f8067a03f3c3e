"""The slot ``regrow``: detail that noise destroyed, drawn anew from what is possible."""
