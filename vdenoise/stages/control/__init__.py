"""What stands behind the denoisers: guards, and how much of the correction is used where."""
