"""The league table: records in, ranked rows out. `league.rank` shows the whole way."""
