"""One clip on many machines: a frozen plan, segments that equal a single pass, and their joining.

The unit of distribution is a process; there is no scheduler here, only texts for those that exist.
"""
