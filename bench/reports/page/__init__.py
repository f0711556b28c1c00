"""A report as one HTML file: the league, its pictures, its studies and every run, from data handed in.

`league`, `runs` and `pictures` make the data, `packing` compresses them, `document` puts them into the template. What
the browser does with them stands in the files of JavaScript beside this one.
"""
