"""Pictures, one in each file: a public module here is a kind of picture, and is found by its presence.

To add one, add a module whose first sentence says what it shows, with its name ``KIND`` and a function ``draw(data)``
that returns a picture made of the parts in `_elements`, or raises RequestError where there is nothing to draw. Keyword
arguments of ``draw`` are options of the picture; ``WORDS`` has the values of those that are words. Data is a ranking
unless ``NEEDS`` says "record": then it is the predictions of one run; "inside": then it is a view of its learner at the
end; or "states": then at steps along its training, too. ``ASKS`` are arguments that the ranking must be asked with.
`study/` has those of a study.
"""
