"""The Autobahn suite's server, and the judge of its report."""
