"""Many clips, one run each: which jobs there are, which are done, and carrying out the rest.

Every job is a ``vdenoise run`` of its own in a process of its own: one that fails, or is killed,
takes nothing else with it. What a job has finished is read from the recipes beside the outputs,
so a batch that was stopped anywhere goes on where it was.
"""
